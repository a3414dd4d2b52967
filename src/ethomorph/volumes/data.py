"""What a sample is: an image volume and its segmentation, found by name, brought onto one grid by header.

Volumes are opened one at a time. Nothing is paired by its place in a list.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ethomorph.core.errors import LabelError
from ethomorph.core.volume import LabelVolume, ScalarVolume, paired
from ethomorph.formats.volumes import FORMATS, format_of, is_volume, read_image, read_labels

MARKS = (".seg", "-seg", "_seg", "-segmentation", "_segmentation", "-label", "_label", "-labels", "_labels", "_")
"""What people add to a segmentation's name; left away in pairing it with its image."""


@dataclass(frozen=True)
class Case:
    """One specimen's volume.

    Attributes
    ----------
    name : unique; the image's name without suffixes.
    image, labels : files, or volumes in memory. Labels are None for volumes to predict.
    """

    name: str
    image: Path | ScalarVolume
    labels: Path | LabelVolume | None = None

    def read_image(self) -> ScalarVolume:
        """Raises FormatError where it is damaged."""
        return self.image if isinstance(self.image, ScalarVolume) else read_image(self.image)

    def read_labels(self, image: ScalarVolume) -> LabelVolume:
        """The labels on the image's grid, by header; raises LabelError where they lie elsewhere."""
        if self.labels is None:
            raise LabelError("has no segmentation", place=self.name, fix="give one of the same name")
        labels = self.labels if isinstance(self.labels, LabelVolume) else read_labels(self.labels)
        return paired(image, labels)

    @property
    def files(self) -> list[Path]:
        return [f for f in (self.image, self.labels) if isinstance(f, Path)]


def find_cases(labels: Path, images: Path | None, *, place: str | Path = "") -> list[Case]:
    """Pair segmentations with images by name.

    Parameters
    ----------
    labels : a folder of segmentations, or one.
    images : a folder of volumes (or of folders of slices), or one; the folder of the labels where left out.

    Raises
    ------
    LabelError : nothing there, a segmentation without an image, or two of one name. Images without a segmentation are
        left aside.
    """
    found_labels = list_volumes(labels)
    found_images = list_volumes(images or labels)
    if labels.is_file() and images is not None and images.is_file():
        return [Case(plain_name(images), images, labels)]
    if images is None:
        segmentations = [p for p in found_labels if _is_segmentation(p)]
        found_images = [p for p in found_images if p not in segmentations]
        found_labels = segmentations
    if not found_labels:
        raise LabelError("no segmentations here", place=labels, fix="give the folder of the .seg.nrrd files")
    by_name: dict[str, Path] = {}
    for path in found_images:
        name = core_name(path)
        if name in by_name:
            raise LabelError(f"{by_name[name].name} and {path.name} have one name", place=path.parent, fix="rename one")
        by_name[name] = path
    cases: list[Case] = []
    seen: dict[str, Path] = {}
    for path in found_labels:
        name = core_name(path)
        if name in seen:
            raise LabelError(f"{seen[name].name} and {path.name} have one name", place=path.parent, fix="rename one")
        seen[name] = path
        if name not in by_name:
            raise LabelError(
                f"no image has its name ({name!r})", place=path,
                fix=f"name the image {name}.nrrd, in {images or labels}",
            )  # fmt: skip
        cases.append(Case(plain_name(by_name[name]), by_name[name], path))
    return cases


def list_volumes(path: Path) -> list[Path]:
    """Volumes named by a file or in a folder, by name; a folder of slices is one volume."""
    if not path.exists():
        raise LabelError("there is no such file or folder", place=path, fix="check the path")
    if path.is_file() or (format_of(path) is not None and not any(_is_file_volume(p) for p in path.iterdir())):
        return [path]
    inside = [p for p in path.iterdir() if not p.name.startswith(".")]
    return sorted((p for p in inside if _is_file_volume(p) or (p.is_dir() and is_volume(p))), key=lambda p: p.name)


def expand(inputs: Iterable[str | Path]) -> list[Path]:
    """Volumes named by files, folders and patterns; raises LabelError where there is none."""
    found: dict[Path, None] = {}
    for given in inputs:
        path = Path(given)
        if not path.exists() and any(c in str(given) for c in "*?["):
            for match in sorted(path.parent.glob(path.name)):
                found.update(dict.fromkeys(list_volumes(match)))
            continue
        found.update(dict.fromkeys(list_volumes(path)))
    if not found:
        raise LabelError("no volumes", place=", ".join(map(str, inputs)), fix="give NRRD, NIfTI, MetaImage or slices")
    return list(found)


def plain_name(path: Path) -> str:
    """The name without the format's suffix.

    >>> plain_name(Path("a/B6.J_.nii.gz")), plain_name(Path("head.seg.nrrd"))
    ('B6.J_', 'head')
    """
    suffixes = sorted((s for f in FORMATS for s in f.suffixes if path.name.lower().endswith(s)), key=len)
    return path.name[: -len(suffixes[-1])] if suffixes else path.name


def core_name(path: Path) -> str:
    """The name that image and segmentation share: without suffix and what people add to segmentations.

    >>> core_name(Path("AKR_J_.nii.gz")), core_name(Path("AKR_J-label.nrrd"))
    ('AKR_J', 'AKR_J')
    """
    name = plain_name(path)
    while True:
        mark = next((m for m in sorted(MARKS, key=len, reverse=True) if name.lower().endswith(m) and name != m), None)
        if mark is None:
            return name
        name = name[: -len(mark)]


def _is_file_volume(path: Path) -> bool:
    return path.is_file() and format_of(path) is not None and path.suffix.lower() not in (".tif", ".tiff", ".raw")


def _is_segmentation(path: Path) -> bool:
    found = format_of(path)
    return (found is not None and found.read is None) or core_name(path) != plain_name(path)

"""Every real volume at hand: read, written in each format that holds it, and read back equal.

Images keep their numbers, type and geometry; segmentations keep voxels, names and geometry, and land on their image's
grid by header.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.record import Claim, write_result
from ethomorph.core.volume import LabelVolume, ScalarVolume, paired
from ethomorph.formats.volumes import is_volume, read_image, read_labels, read_volume, write_volume
from ethomorph.study.provenance import Stopwatch

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
IMAGE_FORMATS, LABEL_FORMATS = (".nrrd", ".nii.gz", ".mha"), (".seg.nrrd", ".nii.gz")
ALIGNED = {
    "slicer-ct-seg/Segmentation.seg.nrrd": "slicer-ct-seg/CTChest4.nrrd",
    "slicer-ct-seg/SegmentationOverlapping.seg.nrrd": "slicer-ct-seg/CTChest4.nrrd",
    "ct-organs/example_seg.nii.gz": "ct-organs/example_ct_sm.nii.gz",
    "ct-organs/example_seg_fast.nii.gz": "ct-organs/example_ct_sm.nii.gz",
    "ct-organs/example_seg_fast_force_split.nii.gz": "ct-organs/example_ct.nii.gz",
    "mouse-skull-ct/atlas/low_res_template_UCHAR-label.nii.gz": "mouse-skull-ct/atlas/low_res_template_UCHAR.nii.gz",
}
"""Segmentations, and the image that each was made on."""


def volumes(data: Path) -> list[Path]:
    """Every file that is a volume, by name."""
    sets = ("ct-organs", "mouse-skull-ct", "slicer-ct-seg")
    return sorted(p for name in sets for p in (data / name).rglob("*") if p.is_file() and is_volume(p))


def comes_back(path: Path, folder: Path) -> dict[str, bool]:
    """Whether a volume is the same after each format; an overlapping segmentation fits into .seg.nrrd alone."""
    labels = path.name.endswith(".seg.nrrd") or "seg" in path.name.lower() or "label" in path.name
    volume = read_labels(path) if labels else read_volume(path)
    found = {}
    for suffix in LABEL_FORMATS if isinstance(volume, LabelVolume) else IMAGE_FORMATS:
        if isinstance(volume, LabelVolume) and len(volume.layers) > 1 and suffix != ".seg.nrrd":
            continue
        target = folder / f"volume{suffix}"
        write_volume(volume, target)
        if isinstance(volume, ScalarVolume):
            image = read_image(target)
            found[suffix] = (
                image.array.dtype == volume.array.dtype
                and bool(np.array_equal(image.array, volume.array))
                and image.grid.is_same(volume.grid)
            )
        else:
            found[suffix] = read_labels(target).is_same(volume)
        target.unlink()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA)
    options = parser.parse_args()
    watch = Stopwatch()
    files = volumes(options.data)
    equal: dict[str, dict[str, bool]] = {}
    with tempfile.TemporaryDirectory(prefix="volume-files-") as folder:
        for path in files:
            name = str(path.relative_to(options.data))
            equal[name] = comes_back(path, Path(folder))
            print(name, equal[name], file=sys.stderr, flush=True)
    aligned = {}
    for labels, image in ALIGNED.items():
        scan, segments = read_image(options.data / image), read_labels(options.data / labels)
        on_it = paired(scan, segments)
        aligned[labels] = on_it.grid.is_same(scan.grid) and on_it.names == segments.names and bool(on_it.layers.any())
    trips = [same for one in equal.values() for same in one.values()]
    claims = [
        Claim(f"{len(files)} real volumes written as NRRD, NIfTI, MetaImage or .seg.nrrd and read back equal",
              f"{sum(trips)} of {len(trips)} round trips", goal="all", met=all(trips)),
        Claim("segmentations that land on their image's grid by header, names kept",
              f"{sum(aligned.values())} of {len(aligned)}", goal="all", met=all(aligned.values())),
    ]  # fmt: skip
    print(write_result("volume_files", claims, seed=0, watch=watch, equal=equal, aligned=aligned), file=sys.stderr)


if __name__ == "__main__":
    main()

"""What ``ethomorph align`` does: files in, the head in its own frame out, with the transform both ways and a record."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np

from ethomorph.core.errors import FormatError, InputError
from ethomorph.core.files import write_json, write_text
from ethomorph.core.landmarks import LandmarkSet
from ethomorph.core.mesh import Mesh
from ethomorph.core.volume import LabelVolume, ScalarVolume

Space = Literal["lps", "ras"]


def align(
    volume: str | Path,
    out: str | Path,
    *,
    segmentation: str | Path | None = None,
    landmarks: str | Path | None = None,
    surfaces: list[Path] | None = None,
    unit: str = "mm",
    frame: Space | None = None,
    template: str | Path | None = None,
    template_labels: str | Path | None = None,
    template_landmarks: str | Path | None = None,
    origin: list[str] | None = None,
    anterior: list[str] | None = None,
    posterior: list[str] | None = None,
    transforms: list[Path] | None = None,
    method: Literal["auto", "landmarks", "template", "symmetry", "image"] = "auto",
    bend: Literal["rigid", "similarity", "affine", "spline", "elastic"] = "rigid",
    start: Literal["bone", "landmarks", "header"] = "bone",
    likeness: Literal["mutual_information", "correlation"] = "mutual_information",
    threshold: float | None = None,
    spacing: float | None = None,
    image_spacing: tuple[float, float, float] | None = None,
    check: bool = False,
    poses: int = 10,
    targets: str | Path | None = None,
    seed: int = 0,
    picture: bool = True,
) -> dict[str, Any]:
    """Align a volume and everything that belongs to it; returns the content of ``align.json``.

    Parameters
    ----------
    segmentation, landmarks, surfaces : brought along.
    unit, frame : of the surfaces, which say neither.
    template, template_labels, template_landmarks : a head that lies in the head frame.
    origin, anterior, posterior : names of landmarks that fix the frame without a template.
    transforms : ITK files that already take the scan to the head frame, outermost last; nothing is searched then. With
        method "image" they are the start.
    bend, start, likeness : of method "image", which lays the scan on the template voxel for voxel.
    check, poses, targets : also run the registration test over random poses, with landmarks held out of every fit.

    Raises
    ------
    InputError : files that cannot be used. A pose that cannot be told leaves ``align.json`` with status "refused".
    """
    from ethomorph.formats.volumes import read_image, read_labels
    from ethomorph.spatial.align import Anchors, find_alignment
    from ethomorph.spatial.template import read_template
    from ethomorph.study.provenance import Stopwatch, describe_run

    watch, out = Stopwatch(), Path(out)
    image = read_image(volume, spacing=image_spacing)
    labels = None if segmentation is None else read_labels(segmentation)
    marks = _landmarks(landmarks)
    meshes = _surfaces(surfaces or [], unit, frame)
    model, laid_on = None, None
    if method == "image":
        from ethomorph.workflow.align_image import read_image_template

        given = given_alignment(image, labels, transforms, threshold).transform if transforms else None
        laid_on = read_image_template(template, labels=template_labels, landmarks=template_landmarks, bend=bend,
                                      start=start, likeness=likeness, given=given, seed=seed)  # fmt: skip
    elif template is not None:
        model = read_template(template, labels=template_labels, landmarks=template_landmarks, unit=unit, frame=frame,
                              threshold=threshold)  # fmt: skip
    anchors = Anchors(origin, anterior, posterior) if origin and anterior else None
    options: dict[str, Any] = {"template": model, "anchors": anchors, "method": method, "threshold": threshold}
    if laid_on is not None:
        found = laid_on.lay(image, labels=labels, landmarks=marks)
    elif transforms:
        found = given_alignment(image, labels, transforms, threshold)
    else:
        found = find_alignment(image, labels=labels, landmarks=marks, seed=seed, **options)
    inputs = [Path(p) for p in (volume, segmentation, landmarks, template, template_labels, template_landmarks, targets)
              if p is not None] + list(surfaces or []) + list(transforms or [])  # fmt: skip
    record: dict[str, Any] = {
        "status": "refused" if found.refused else "aligned",
        "reason": found.reason,
        "method": found.method,
        "matrix_lps": found.transform.matrix.tolist() if found.transform and found.transform.is_linear else None,
        "checks": {name: metric.to_dict() for name, metric in found.checks.items()},
        "notes": [*image.notes, *found.notes],
    }
    if not found.refused:
        record |= _write_aligned(found, image, labels, marks, meshes, out, Path(volume), spacing, threshold, picture)
        if laid_on is not None:
            record["files"] |= _write_transferred(found, laid_on, image, out, Path(volume), picture)
        if check:
            if laid_on is not None:
                from ethomorph.workflow.align_image import finder

                options = {"find": finder(laid_on)}
            elif transforms:
                # given, not found: there is nothing to be found again in other poses
                options, poses = {"find": lambda *_, **__: found}, 0
            record["test"] = _test(
                image, out, labels=labels, landmarks=marks, poses=poses, targets=targets, seed=seed, options=options
            )
    record["provenance"] = describe_run(
        command=["ethomorph", "align", str(volume)], seed=seed, inputs=inputs, root=Path(volume).parent,
        seconds=watch.seconds,
    )  # fmt: skip
    write_json(out / "align.json", record)
    return record


def given_alignment(
    image: ScalarVolume, labels: LabelVolume | None, transforms: list[Path], threshold: float | None
) -> Any:
    """An alignment from transform files: composed first, so that the scan is resampled once."""
    from ethomorph.formats.itk_transform import read_transform
    from ethomorph.spatial.align import HEAD, SCAN, Alignment, bone_cloud

    frames = [SCAN, *(f"step_{n}" for n in range(1, len(transforms))), HEAD]
    chain = None
    for path, source, target in zip(transforms, frames, frames[1:], strict=False):
        step = read_transform(path, source=source, target=target)
        chain = step if chain is None else step @ chain
    notes = [f"{len(transforms)} given transforms were composed and the scan resampled once"]
    return Alignment(chain, "given", notes=notes, points=bone_cloud(image, labels, threshold))


def _write_aligned(
    found: Any, image: ScalarVolume, labels: LabelVolume | None, marks: LandmarkSet | None, meshes: dict[str, Mesh],
    out: Path, volume: Path, spacing: float | None, threshold: float | None, picture: bool,
) -> dict[str, Any]:  # fmt: skip
    from ethomorph.formats.itk_transform import write_transform
    from ethomorph.formats.mesh import write_mesh
    from ethomorph.formats.nrrd import write_nrrd
    from ethomorph.formats.registry import write_landmarks
    from ethomorph.formats.seg_nrrd import write_seg_nrrd
    from ethomorph.spatial.align import carried, laid_out

    stem = volume.name.split(".")[0]
    head, grid = laid_out(found, image, spacing=spacing)
    stored = head
    if np.asarray(image.array).dtype.kind in "ui":
        kind = np.iinfo(image.array.dtype)
        stored = ScalarVolume(np.clip(np.round(head.array), kind.min, kind.max).astype(image.array.dtype), grid)
    files = {"volume": f"{stem}_head.nrrd", "to_head": "to_head", "to_scan": "to_scan"}
    write_nrrd(stored, out / files["volume"])
    suffix = ".tfm" if found.transform.is_linear else ".h5"
    for key, transform in (("to_head", found.transform), ("to_scan", found.transform.inverse)):
        files[key] += suffix
        write_transform(transform, out / files[key])
    placed, moved, laid = carried(found, grid, labels=labels, landmarks=marks, meshes=meshes)
    volumes: dict[str, Any] = {}
    if placed is not None and labels is not None:
        files["segmentation"] = f"{stem}_head.seg.nrrd"
        write_seg_nrrd(placed, out / files["segmentation"])
        volumes = {s.name: _volume_row(labels, placed, s.name) for s in labels.segments}
    if moved is not None:
        files["landmarks"] = f"{stem}_head.mrk.json"
        write_landmarks(moved, out / files["landmarks"])
    for name, mesh in laid.items():
        files[f"surface {name}"] = f"{name}_head.ply"
        write_mesh(mesh, out / files[f"surface {name}"])
    if picture and found.grid is None:
        from ethomorph.report.style import save
        from ethomorph.spatial.draw import draw_alignment

        files["picture"] = "align.png"
        save(draw_alignment(image, head, threshold=threshold), out / "align.png")
    shown = found.transform.slicer_matrix.tolist() if found.transform.is_linear else None
    size = [round(v, 4) for v in grid.size_mm]
    return {
        "files": files, "slicer_matrix_ras": shown, "volumes_mm3": volumes,
        "grid": {"shape_zyx": list(grid.shape), "spacing_mm": list(grid.spacing), "origin_lps_mm": list(grid.origin),
                 "size_mm": size},
    }  # fmt: skip


def _write_transferred(
    found: Any, laid_on: Any, image: ScalarVolume, out: Path, volume: Path, picture: bool
) -> dict[str, str]:
    """The template's segmentation and landmarks on the scan, and both images in one picture."""
    from ethomorph.formats.registry import write_landmarks
    from ethomorph.formats.seg_nrrd import write_seg_nrrd
    from ethomorph.workflow.align_image import transfer

    stem, files = volume.name.split(".")[0], {}
    labels, marks = transfer(found, laid_on, image)
    if labels is not None:
        files["segmentation from template"] = f"{stem}_from_template.seg.nrrd"
        write_seg_nrrd(labels, out / f"{stem}_from_template.seg.nrrd")
    if marks is not None:
        files["landmarks from template"] = f"{stem}_from_template.mrk.json"
        write_landmarks(marks, out / f"{stem}_from_template.mrk.json")
    if picture:
        from ethomorph.report.style import save
        from ethomorph.spatial.align import laid_out
        from ethomorph.spatial.draw import draw_check

        files["picture"] = "align.png"
        save(draw_check(laid_on.image, laid_out(found, image)[0], ("template", "scan")), out / "align.png")
    return files


def _volume_row(before: LabelVolume, after: LabelVolume, name: str) -> dict[str, float]:
    return {
        "scan": round(int(before.mask(name).sum()) * before.grid.voxel_mm3, 6),
        "head": round(int(after.mask(name).sum()) * after.grid.voxel_mm3, 6),
    }


def _test(
    image: ScalarVolume, out: Path, *, labels: LabelVolume | None, landmarks: LandmarkSet | None, poses: int,
    targets: str | Path | None, seed: int, options: dict[str, Any],
) -> dict[str, Any]:  # fmt: skip
    import pandas as pd

    from ethomorph.report.style import save
    from ethomorph.spatial.check import check_alignment
    from ethomorph.spatial.draw import draw_check
    from ethomorph.spatial.template import named_points

    held = None
    if targets is not None:
        marks = _landmarks(targets)
        assert marks is not None
        held = np.array(list(named_points(marks).values()))
    found = check_alignment(image, poses=poses, seed=seed, labels=labels, targets=held, landmarks=landmarks, **options)
    table = pd.DataFrame([{k: v for k, v in row.items() if k != "target_mm"} for row in found.rows])
    write_text(out / "check.csv", table.to_csv(index=False))
    if found.worst is not None:
        save(draw_check(*found.worst), out / "check.png")
    test = {name: metric.to_dict() for name, metric in found.metrics.items()}
    write_json(out / "check.json", {"metrics": test, "rows": found.rows})
    return test


def _landmarks(path: str | Path | None) -> LandmarkSet | None:
    from ethomorph.formats.registry import read_landmarks

    if path is None:
        return None
    found = read_landmarks(path)
    if len(found) != 1:
        raise InputError(f"{len(found)} specimens, where one head has one", place=path, fix="give its own file")
    return found


def _surfaces(paths: list[Path], unit: str, frame: Space | None) -> dict[str, Mesh]:
    from ethomorph.formats.mesh import read_mesh

    doubled = {p.stem for p in paths if [q.stem for q in paths].count(p.stem) > 1}
    if doubled:
        raise FormatError(f"two surfaces are called {sorted(doubled)[0]!r}", fix="rename one")
    return {path.stem: read_mesh(path, unit=unit, frame=frame) for path in paths}

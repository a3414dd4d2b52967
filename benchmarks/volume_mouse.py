"""Skull, right and left mandible of real mouse heads, scored on strains that training never saw.

Nobody segmented these heads: the atlas is brought to each by a thin-plate spline through its 45 human landmarks, and
bone above a threshold takes the label of the nearest atlas bone. Scores are agreement with such labels, with no person.
The scans lie in any direction, in which nothing tells right from left; so every head, those of the test too, is first
laid as the atlas lies, rigidly and by its bone alone.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
from scipy import ndimage
from scipy.interpolate import RBFInterpolator

from benchmarks.record import Claim, write_result
from benchmarks.volume_mri import trained
from benchmarks.volumes import spoken
from ethomorph.core.grid import Grid
from ethomorph.core.landmarks import LandmarkSet
from ethomorph.core.volume import LabelVolume, ScalarVolume
from ethomorph.formats.nrrd import write_nrrd
from ethomorph.formats.registry import read_landmarks
from ethomorph.formats.seg_nrrd import write_seg_nrrd
from ethomorph.formats.volumes import read_image, read_labels
from ethomorph.spatial.register import start_by_bone
from ethomorph.study.provenance import Stopwatch
from ethomorph.study.split import assign_parts
from ethomorph.volumes.data import Case
from ethomorph.volumes.draw import draw_case
from ethomorph.volumes.score import score_set, score_volume
from ethomorph.volumes.task import intensity_only

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "mouse-skull-ct"
CLASSES = {"skull": "skull", "right mandible": "right mandible", "left mandible": "left mandible"}
ATLAS_VALUES = {"skull": 1, "right mandible": 2, "left mandible": 21}
COMMON = [*range(1, 23), 24, 25, *range(27, 34), *range(36, 45), 46, 47, 49, 50, 51]
"""Numbers of the atlas landmarks that the specimens have, in their order."""

BONE = 40
NEAR_MM = 0.5
"""Bone farther from any atlas bone is not of the skull: vertebrae, fore limbs."""


def transferred(image: ScalarVolume, landmarks: np.ndarray, atlas: LabelVolume, reference: np.ndarray) -> LabelVolume:
    """The atlas's labels on the bone of a specimen, by a thin-plate spline through common landmarks (LPS mm)."""
    spline = RBFInterpolator(landmarks, reference, kernel="thin_plate_spline", smoothing=0.01, degree=1)
    bone = np.argwhere(np.asarray(image.array) >= BONE)
    inside, place = nearest_voxels(atlas.grid, spline(image.grid.to_lps(bone[:, ::-1])))
    wanted = np.isin(atlas.array, list(ATLAS_VALUES.values()))
    apart, nearest = ndimage.distance_transform_edt(~wanted, sampling=atlas.grid.spacing_zyx, return_indices=True)
    value = atlas.array[tuple(n[tuple(place.T)] for n in nearest)]
    value = np.where(inside & (apart[tuple(place.T)] < NEAR_MM), value, 0)
    array = np.zeros(image.grid.shape, np.uint8)
    array[tuple(bone.T)] = value
    return LabelVolume.of(array, image.grid, ATLAS_VALUES)


def nearest_voxels(grid: Grid, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Whether points are inside, and their nearest voxels (z, y, x)."""
    index = np.round(grid.to_index(points)).astype(int)[:, ::-1]
    top = np.array(grid.shape) - 1
    return ((index >= 0) & (index <= top)).all(axis=1), np.clip(index, 0, top)


def load(data: Path, work: Path) -> list[Case]:
    """Every head, laid as the atlas lies, with its transferred labels; kept in `work`."""
    template = read_image(data / "atlas" / "low_res_template_UCHAR.nii.gz")
    atlas = read_labels(data / "atlas" / "low_res_template_UCHAR-label.nii.gz")
    marks: LandmarkSet = read_landmarks(data / "atlas" / "Skull_LMs.fcsv")
    reference = marks[0].points[[n - 1 for n in COMMON]]
    cases = []
    for path in sorted((data / "volumes").glob("*.nii.gz")):
        name = path.name.removesuffix(".nii.gz")
        laid, target = work / "images" / f"{name}.nrrd", work / "labels" / f"{name}.seg.nrrd"
        if not target.is_file():
            points = read_landmarks(data / "landmarks" / f"{name}.mrk.json")[0].points
            image = read_image(path)
            labels = transferred(image, points, atlas, reference)
            upright = start_by_bone(template, image, source="scan", target="atlas")
            write_nrrd(upright.image(image, template.grid, frame="scan"), laid)
            write_seg_nrrd(upright.labels(labels, template.grid, frame="scan"), target)
        cases.append(Case(name, laid, target))
    return cases


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--work", type=Path, default=None)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=400)
    options = parser.parse_args()
    watch = Stopwatch()
    work = options.work or Path(tempfile.mkdtemp(prefix="volume-mouse-"))
    cases = load(options.data, work)
    parts = assign_parts([case.name for case in cases], test=0.3, validation=0.1, seed=options.seed)
    of = {part: [c for c, p in zip(cases, parts, strict=True) if p == part] for part in dict.fromkeys(parts)}
    # 13 mm, the width of a head: a smaller patch does not show which side it is from
    settings = {"steps": options.steps, "patch_voxels": 96**3, "batch_size": 1}
    model, minutes = trained(work / "runs", "unet3d", CLASSES, settings, of, options.seed)
    scores, trivial = [], []
    for case in of["test"]:
        image = case.read_image()
        truth = model.classes.encode(case.read_labels(image))
        found = model.classes.encode_prediction(model.predict_case(case, progress=False))
        scores.append(score_volume(case.name, case.name, truth, found, model.classes, image.grid))
        plain = intensity_only(model.baseline(image), model.classes)
        trivial.append(score_volume(case.name, case.name, truth, plain, model.classes, image.grid, surfaces=False))
        draw_case(image, truth, found, model.classes, work / "pictures" / f"{case.name}.png", title=case.name)
        print(case.name, {n: c.dice for n, c in scores[-1].classes.items()}, file=sys.stderr, flush=True)
    block, baseline = (score_set(s, model.classes, seed=options.seed) for s in (scores, trivial))
    claims = []
    for name in CLASSES:
        claims.append(
            Claim(f"{name} on {len(of['test'])} unseen strains, Dice with the atlas's labels, against intensity alone",
                  spoken(block["metrics"][f"{name}_dice"]), spoken(baseline["metrics"][f"{name}_dice"]))
        )  # fmt: skip
        assd, nsd = (block["metrics"][f"{name}_{key}"] for key in ("assd", "nsd_1_voxel"))
        claims.append(
            Claim(f"{name}: mean surface distance in mm, and share of the surfaces within one voxel (0.14 mm)",
                  f"{spoken(assd)}; {spoken(nsd)}")
        )  # fmt: skip
    path = write_result(
        "volume_mouse", claims, seed=options.seed, watch=watch, scores=block, baseline=baseline, cpu_minutes=minutes,
        parts={part: [c.name for c in some] for part, some in of.items()}, plan=model.model_.plan_.to_dict(),
        labels="atlas by thin-plate spline through 45 landmarks; bone by threshold",
    )  # fmt: skip
    print(path, file=sys.stderr)


if __name__ == "__main__":
    main()

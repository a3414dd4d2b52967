"""``ethomorph align --method image``: a scan laid on another image, voxel for voxel, with what belongs to both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ethomorph.core.errors import LabelError
from ethomorph.core.landmarks import LandmarkSet
from ethomorph.core.volume import LabelVolume, ScalarVolume
from ethomorph.spatial.align import HEAD, SCAN, Alignment
from ethomorph.spatial.onto import Bend, Likeness, Start, agreement, register_onto, start_of
from ethomorph.spatial.template import named_points
from ethomorph.spatial.transform import Transform


@dataclass(frozen=True)
class ImageTemplate:
    """The image that a scan is laid on, and how.

    Attributes
    ----------
    image, labels, landmarks : the template's.
    bend : how far the scan may change: rigid, similarity, affine, spline, elastic.
    start : bone, landmarks, header; or a transform that already takes the scan there roughly.
    likeness : what makes two images alike.
    """

    image: ScalarVolume
    labels: LabelVolume | None
    landmarks: LandmarkSet | None
    bend: Bend
    start: Start | Transform
    likeness: Likeness
    seed: int = 0

    def lay(
        self, image: ScalarVolume, *, labels: LabelVolume | None = None, landmarks: LandmarkSet | None = None
    ) -> Alignment:
        """The scan's alignment to the template, with its checks."""
        ours = {} if landmarks is None else named_points(landmarks)
        theirs = {} if self.landmarks is None else named_points(self.landmarks)
        if isinstance(self.start, Transform):
            start = self.start
        else:
            start = start_of(
                image, self.image, self.start, bend=self.bend, landmarks=ours, reference_landmarks=theirs, source=SCAN,
                target=HEAD,
            )  # fmt: skip
        found = register_onto(image, self.image, start, bend=self.bend, likeness=self.likeness, seed=self.seed)
        names = [n for n in ours if n in theirs] if self.start != "landmarks" else []
        held = np.array([ours[n] for n in names]), np.array([theirs[n] for n in names])
        checks = agreement(
            found, image, self.image, labels=labels, reference_labels=self.labels, held_out=held if names else None
        )
        notes = []
        if isinstance(start, Transform) and not isinstance(self.start, Transform):
            by = "demons on bone" if self.bend == "elastic" else self.likeness.replace("_", " ")
            notes.append(f"the start was found by {self.start}, then improved: {self.bend}, {by}")
        return Alignment(found, "image", checks=checks, notes=notes, grid=self.image.grid)


def read_image_template(
    path: str | Path | None,
    *,
    labels: str | Path | None,
    landmarks: str | Path | None,
    bend: Bend,
    start: Start,
    likeness: Likeness,
    given: Transform | None,
    seed: int,
) -> ImageTemplate:
    """The template's files; raises LabelError where it is no volume."""
    from ethomorph.formats.mesh import is_mesh
    from ethomorph.formats.registry import read_landmarks
    from ethomorph.formats.volumes import read_image, read_labels

    if path is None or is_mesh(path):
        raise LabelError("--method image needs a volume to lay the scan on", place="" if path is None else path,
                         fix="give it with --template")  # fmt: skip
    return ImageTemplate(
        read_image(path), None if labels is None else read_labels(labels),
        None if landmarks is None else read_landmarks(landmarks), bend, given or start, likeness, seed,
    )  # fmt: skip


def finder(template: ImageTemplate) -> Callable[..., Alignment]:
    """What `spatial.check.check_alignment` calls for each pose; raises LabelError for a registration that bends.

    A start that is given for the scan as it lies says nothing about it turned, so bone or landmarks are asked for.
    """
    if template.bend in ("spline", "elastic"):
        raise LabelError(f"--check turns the scan, which tells little of a {template.bend} registration",
                         fix="read its checks in align.json, or check --bend affine")  # fmt: skip
    if isinstance(template.start, Transform) or template.start == "header":
        raise LabelError("--check turns the scan, so a start of its own is needed", fix="use --start bone or landmarks")
    return template.lay


def transfer(
    alignment: Any, template: ImageTemplate, image: ScalarVolume
) -> tuple[LabelVolume | None, LandmarkSet | None]:
    """The template's segmentation and landmarks brought to the scan."""
    back = alignment.transform.inverse
    return (
        None if template.labels is None else back.labels(template.labels, image.grid, frame=HEAD),
        None if template.landmarks is None else back.landmarks(template.landmarks, frame=HEAD),
    )

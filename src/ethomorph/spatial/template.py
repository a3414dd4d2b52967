"""What a head is aligned to: a cloud of bone in the head frame, its landmarks, and where it is cut off."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ethomorph.core.errors import LabelError
from ethomorph.core.landmarks import LandmarkSet
from ethomorph.core.mesh import Mesh
from ethomorph.core.volume import LabelVolume, ScalarVolume
from ethomorph.spatial.cloud import bone_points, is_lower_jaw, segments_mask, thinned

POINTS = 9000
JAW_VOXELS = 3
"""Points so near to the lower jaw are left out of a template: the jaw opens."""


@dataclass(frozen=True)
class Template:
    """A head in its own frame: x left, y back, z up, mid-plane x = 0.

    Attributes
    ----------
    points : (n, 3) mm on bone, without the lower jaw where it is known.
    landmarks : name to (3,) mm.
    size_mm : (2, 3) low and high corner of the head, the jaw included.
    """

    points: np.ndarray
    landmarks: dict[str, np.ndarray] = field(default_factory=dict)
    box_mm: np.ndarray = field(default_factory=lambda: np.zeros((2, 3)))
    source: str = ""

    @classmethod
    def from_volume(
        cls, image: ScalarVolume, labels: LabelVolume | None = None, landmarks: LandmarkSet | None = None,
        *, threshold: float | None = None,
    ) -> Template:  # fmt: skip
        """From a CT that lies in the head frame; its segmentation tells the lower jaw, which is left out."""
        points = bone_points(image, threshold=threshold, count=POINTS)
        whole = points
        if labels is not None and any(is_lower_jaw(n) for n in labels.names):
            points = _beside_jaw(points, labels)
        named = {} if landmarks is None else named_points(landmarks)
        return cls(points, named, np.array([whole.min(axis=0), whole.max(axis=0)]), image.source)

    @classmethod
    def from_mesh(cls, mesh: Mesh, landmarks: LandmarkSet | None = None) -> Template:
        """From a surface that lies in the head frame."""
        middle = mesh.corners.mean(axis=1)
        points = thinned(np.concatenate([mesh.vertices, middle]), POINTS)
        named = {} if landmarks is None else named_points(landmarks)
        return cls(points, named, np.array([points.min(axis=0), points.max(axis=0)]), mesh.source)


def read_template(
    path: str | Path,
    *,
    labels: str | Path | None = None,
    landmarks: str | Path | None = None,
    unit: str = "mm",
    frame: str | None = None,
    threshold: float | None = None,
) -> Template:
    """A template from a volume or a surface file in the head frame, with what belongs to it."""
    from ethomorph.api import read
    from ethomorph.formats.mesh import is_mesh, read_mesh
    from ethomorph.formats.volumes import read_image, read_labels

    points = None if landmarks is None else read(landmarks)
    if is_mesh(path):
        return Template.from_mesh(read_mesh(path, unit=unit, frame=frame), points)  # type: ignore[arg-type]
    return Template.from_volume(
        read_image(path), None if labels is None else read_labels(labels), points, threshold=threshold
    )


def named_points(landmarks: LandmarkSet) -> dict[str, np.ndarray]:
    """The first specimen's landmarks by name, missing ones left out; raises LabelError unless they are in LPS mm."""
    if landmarks.frame != "lps" or landmarks.dim != 3 or not len(landmarks):
        raise LabelError("landmarks are not three-dimensional in LPS mm", place=landmarks.source,
                         fix="give a .mrk.json or .fcsv of 3D Slicer")  # fmt: skip
    specimen = landmarks[0]
    return {name: specimen.points[i] for i, name in enumerate(landmarks.names) if specimen.visible[i]}


def _beside_jaw(points: np.ndarray, labels: LabelVolume) -> np.ndarray:
    from scipy import ndimage

    bone, rest = segments_mask(labels), segments_mask(labels, jaw=False)
    if bone is None or rest is None:
        return points
    away = ndimage.distance_transform_edt(~(bone & ~rest))
    index = np.round(labels.grid.to_index(points)).astype(int)[:, ::-1]
    index = np.clip(index, 0, np.array(labels.grid.shape) - 1)
    kept = points[away[tuple(index.T)] > JAW_VOXELS]
    return kept if len(kept) > len(points) // 4 else points

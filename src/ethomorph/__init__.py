"""ethomorph: measurements that survive review, from radiographs, CT volumes, video and footprints.

Examples
--------
>>> import ethomorph as em
>>> sample = em.simulate_radiographs(8, seed=1)
>>> train, test = em.split(sample.landmarks, by="specimen", test=0.25, seed=0)
>>> len(train) + len(test)
8
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "InputError": "core.errors",
    "LandmarkSet": "core.landmarks",
    "Specimen": "core.landmarks",
    "Metric": "core.metric",
    "read": "api",
    "write": "api",
    "split": "api",
    "score": "api",
    "LandmarkRegressor": "keypoints.estimator",
    "Study": "study.config",
    "train": "workflow.train",
    "simulate_radiographs": "phantoms.radiograph",
    "Identifier": "identity.estimator",
    "PrintTable": "core.prints",
    "identify": "identity.identify",
    "measure_prints": "identity.variables",
    "read_prints": "identity.table",
    "simulate_paws": "phantoms.paws",
    "simulate_prints": "phantoms.prints",
    "Grid": "core.grid",
    "LabelVolume": "core.volume",
    "ScalarVolume": "core.volume",
    "VolumeSegmenter": "volumes.estimator",
    "read_volume": "formats.volumes",
    "read_labels": "formats.volumes",
    "simulate_head": "phantoms.head",
    "write_volume": "formats.volumes",
    "BehaviorClassifier": "behavior.estimator",
    "Clip": "core.clips",
    "ClipSet": "core.clips",
    "Recording": "core.recordings",
    "read_behavior": "behavior.samples",
    "simulate_arena": "phantoms.arena",
    "simulate_clips": "phantoms.arena_clips",
    "time_budget": "behavior.bouts",
}
"""Public name to the module that holds it; loaded on first use, so that importing ethomorph costs nothing."""

__all__ = [
    "BehaviorClassifier",
    "Clip",
    "ClipSet",
    "Grid",
    "Identifier",
    "InputError",
    "LabelVolume",
    "LandmarkRegressor",
    "LandmarkSet",
    "Metric",
    "PrintTable",
    "Recording",
    "ScalarVolume",
    "Specimen",
    "Study",
    "VolumeSegmenter",
    "__version__",
    "identify",
    "measure_prints",
    "read",
    "read_behavior",
    "read_labels",
    "read_prints",
    "read_volume",
    "score",
    "simulate_arena",
    "simulate_clips",
    "simulate_head",
    "simulate_paws",
    "simulate_prints",
    "simulate_radiographs",
    "split",
    "time_budget",
    "train",
    "write",
    "write_volume",
]

if TYPE_CHECKING:
    from ethomorph.api import read, score, split, write
    from ethomorph.behavior.bouts import time_budget
    from ethomorph.behavior.estimator import BehaviorClassifier
    from ethomorph.behavior.samples import read_behavior
    from ethomorph.core.clips import Clip, ClipSet
    from ethomorph.core.errors import InputError
    from ethomorph.core.grid import Grid
    from ethomorph.core.landmarks import LandmarkSet, Specimen
    from ethomorph.core.metric import Metric
    from ethomorph.core.prints import PrintTable
    from ethomorph.core.recordings import Recording
    from ethomorph.core.volume import LabelVolume, ScalarVolume
    from ethomorph.formats.volumes import read_labels, read_volume, write_volume
    from ethomorph.identity.estimator import Identifier
    from ethomorph.identity.identify import identify
    from ethomorph.identity.table import read_prints
    from ethomorph.identity.variables import measure_prints
    from ethomorph.keypoints.estimator import LandmarkRegressor
    from ethomorph.phantoms.arena import simulate_arena
    from ethomorph.phantoms.arena_clips import simulate_clips
    from ethomorph.phantoms.head import simulate_head
    from ethomorph.phantoms.paws import simulate_paws
    from ethomorph.phantoms.prints import simulate_prints
    from ethomorph.phantoms.radiograph import simulate_radiographs
    from ethomorph.study.config import Study
    from ethomorph.volumes.estimator import VolumeSegmenter
    from ethomorph.workflow.train import train


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'ethomorph' has no attribute {name!r}")
    value = getattr(import_module(f"ethomorph.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)

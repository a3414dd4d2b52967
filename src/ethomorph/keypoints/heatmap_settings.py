"""What a person may set about the heat-map method: both stages, their training, and what augmentation may do."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Self

from ethomorph.core.errors import StudyError
from ethomorph.keypoints.coarse import CoarseSettings
from ethomorph.keypoints.refine import RefineSettings
from ethomorph.study.settings import changed


@dataclass(frozen=True)
class HeatmapSettings:
    """Settings of the heat-map method.

    Parameters
    ----------
    steps : optimizer steps; both stages learn in each. Fewer where `max_minutes` of the fit would not suffice.
    pictures : views of whole pictures in a step.
    patches : patches cut from each of these pictures in a step.
    learning_rate : at its height; it falls along a cosine to a hundredth.
    weight_decay : of AdamW.
    averaging : decay of the moving average of the weights, which is what predicts; 0 for the last weights.
    rotation_deg : specimens may lie turned by up to this much either way from how they lie in training; 180 for any
        direction.
    specimens : at most so many in a picture; 0 takes the most that a training picture has.
    least_score : score below which nothing is reported: the probability of a specimen, lowered where more than half of
        its landmarks have a confidence under 0.5.
    workers : processes that cut training views; 0 cuts them in the training process.
    coarse, refine : the stages.

    Examples
    --------
    >>> HeatmapSettings.from_dict({"steps": 50, "refine": {"patch_px": 48}}).refine.patch_px
    48
    >>> HeatmapSettings(steps=0)
    Traceback (most recent call last):
    ...
    ethomorph.core.errors.StudyError: settings.steps: 0; give a number of at least 1
    """

    steps: int = 400
    pictures: int = 4
    patches: int = 6
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    averaging: float = 0.99
    rotation_deg: float = 30.0
    specimens: int = 0
    least_score: float = 0.5
    workers: int = 0
    coarse: CoarseSettings = field(default_factory=CoarseSettings)
    refine: RefineSettings = field(default_factory=RefineSettings)

    def __post_init__(self) -> None:
        for name in ("steps", "pictures", "patches"):
            refuse_below(name, getattr(self, name), 1)
        for name in (
            "learning_rate",
            "weight_decay",
            "averaging",
            "rotation_deg",
            "specimens",
            "least_score",
            "workers",
        ):
            refuse_below(name, getattr(self, name), 0)
        for name, stage, side in (
            ("coarse", self.coarse, self.coarse.long_side_px),
            ("refine", self.refine, self.refine.patch_px),
        ):
            refuse_below(f"{name}.size", side, stage.max_stride)
        if self.refine.patch_px % self.refine.max_stride:
            raise StudyError(
                f"{self.refine.patch_px} is no multiple of refine.max_stride = {self.refine.max_stride}",
                place="settings.refine.patch_px", fix="give a multiple",
            )  # fmt: skip

    @classmethod
    def of(cls, given: HeatmapSettings | dict[str, Any] | None) -> HeatmapSettings:
        """Settings from themselves, a table or nothing."""
        if isinstance(given, HeatmapSettings):
            return given
        return cls.from_dict(given or {})

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Settings from nested tables with any of the keys; raises StudyError for unknown ones and wrong types."""
        return changed(cls(), values, "settings")

    def to_dict(self) -> dict[str, Any]:
        """Nested plain tables, the inverse of `from_dict`."""
        return asdict(self)


def refuse_below(name: str, value: float, least: float) -> None:
    """Refuse a value below `least`."""
    if not value >= least:
        raise StudyError(str(value), place=f"settings.{name}", fix=f"give a number of at least {least}")

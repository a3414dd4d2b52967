"""What a person may set about a behaviour classifier, whatever its method."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, Self

from ethomorph.behavior.boosting import BoostSettings
from ethomorph.behavior.imbalance import Imbalance
from ethomorph.core.errors import StudyError
from ethomorph.study.settings import changed

Method = Literal["features", "tcn", "convlstm", "r3d", "x3d"]
METHODS: tuple[Method, ...] = ("features", "tcn", "convlstm", "r3d", "x3d")
PIXELS: tuple[Method, ...] = ("convlstm", "r3d", "x3d")
"""Methods that look at frames and so need clips of video."""
PRESETS = ("", "lab")


@dataclass(frozen=True)
class NetworkSettings:
    """Settings of the networks (tcn, convlstm, r3d, x3d).

    Parameters
    ----------
    epochs, batch_size, learning_rate : of the training; a bound on minutes is the task's ``max_minutes``.
    optimizer : "adamw", or "sgd" with `momentum` and `dampening` (a share of each new gradient that is left out).
    weight_decay : L2 on the weights.
    schedule, plateau_patience, patience : see `ethomorph.training.FitSettings`; patience 0 never stops early.
    width : multiplies the number of channels; 1 is the published network.
    dropout : before the last layer.
    augment : strength of augmentation, 0 for none, 1 for the usual; always the same for all frames of a clip.
    flips : whether clips may be mirrored and turned by half turns: not where left and right are classes.
    workers : processes that load clips.
    pixel_full : what pixels are divided by; 1 would leave them raw, from which no network here learns.
    device : "auto", "cpu", "cuda" ...
    weights : a file of weights to begin with (safetensors); layers that do not fit are told and left as they are.
    """

    epochs: int = 40
    batch_size: int = 16
    learning_rate: float = 2e-3
    optimizer: str = "adamw"
    momentum: float = 0.9
    dampening: float = 0.0
    weight_decay: float = 1e-2
    schedule: str = "cosine"
    plateau_patience: int = 4
    patience: int = 0
    width: float = 1.0
    dropout: float = 0.2
    augment: float = 1.0
    flips: bool = False
    workers: int = 0
    pixel_full: float = 255.0
    device: str = "auto"
    weights: str = ""


LAB = NetworkSettings(
    epochs=100, batch_size=13, learning_rate=0.1, optimizer="sgd", momentum=0.9, dampening=0.9, weight_decay=1e-5,
    schedule="plateau", plateau_patience=10, patience=0, dropout=0.0, flips=True,
)  # fmt: skip
"""The published recipe for cichlid clips (Long et al. 2020): r3d on 96 frames of 120 px in colour."""


@dataclass(frozen=True)
class BehaviorSettings:
    """Settings of a `BehaviorClassifier`.

    Parameters
    ----------
    preset : "" or "lab", for r3d as it was published for cichlid clips; other keys change it further.
    frames, side_px, colour : what a clip is sampled and shrunk to; side_px is the longer side.
    unreadable : "refuse" clips that cannot be decoded, or "leave_out", which lists them.
    favour_rare : 0 predicts the most probable class; 1 the class whose probability is highest above its share, which
        finds rare classes more often and the commonest less; between likewise.
    smooth_s : probabilities of frames are averaged over so long; no effect on clips.
    least_bout_s : predicted bouts shorter than this are given to their neighbours.
    stride : every so many frames of a recording are learned from; neighbours are nearly the same frame.
    linear_share : part that a regularised linear model has in ``features`` (it carries over small data better than
        trees); -1 lets the validation part choose.
    folds : grouped folds that the whole data set is scored on beside the test part; 0 for none, -1 for one a group up
        to ten, where that takes no longer than a few minutes.
    trees, network, imbalance : of the parts.
    """

    preset: str = ""
    frames: int = 24
    side_px: int = 96
    colour: bool = False
    unreadable: str = "refuse"
    favour_rare: float = 0.0
    smooth_s: float = 0.3
    least_bout_s: float = 0.0
    stride: int = 3
    linear_share: float = -1.0
    folds: int = -1
    trees: BoostSettings = field(default_factory=BoostSettings)
    network: NetworkSettings = field(default_factory=NetworkSettings)
    imbalance: Imbalance = field(default_factory=Imbalance)

    def __post_init__(self) -> None:
        for name, known in (("preset", PRESETS), ("unreadable", ("refuse", "leave_out"))):
            if getattr(self, name) not in known:
                shown = ", ".join(repr(k) for k in known)
                raise StudyError(repr(getattr(self, name)), place=f"settings.{name}", fix=f"use one of {shown}")
        for name, least in (("frames", 2), ("side_px", 16), ("stride", 1), ("smooth_s", 0), ("least_bout_s", 0)):
            if getattr(self, name) < least:
                raise StudyError(str(getattr(self, name)), place=f"settings.{name}", fix=f"give at least {least}")
        if not 0 <= self.favour_rare <= 1:
            raise StudyError(str(self.favour_rare), place="settings.favour_rare", fix="give a number from 0 to 1")
        if self.network.optimizer not in ("adamw", "sgd"):
            raise StudyError(repr(self.network.optimizer), place="settings.network.optimizer", fix="use adamw or sgd")

    @classmethod
    def of(cls, given: BehaviorSettings | dict[str, Any] | None) -> Self:
        """Settings from themselves, a table or nothing; a preset in the table comes first.

        Examples
        --------
        >>> lab = BehaviorSettings.of({"preset": "lab", "network": {"epochs": 5}})
        >>> lab.frames, lab.network.optimizer, lab.network.epochs
        (96, 'sgd', 5)
        """
        if isinstance(given, BehaviorSettings):
            return given  # type: ignore[return-value]
        table = dict(given or {})
        start = cls()
        if table.get("preset") == "lab":
            start = replace(start, preset="lab", frames=96, side_px=120, colour=True, network=LAB)
        return changed(start, table)

    def to_dict(self) -> dict[str, Any]:
        """Nested plain tables, the inverse of `of`."""
        return asdict(self)

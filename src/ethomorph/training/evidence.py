"""What was seen of a training run: plain numbers that the monitor gathers and the rules judge.

Kept in evidence.json beside the run, so that rules written later can judge runs made before.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ethomorph.core.errors import StudyError
from ethomorph.core.files import write_json


@dataclass
class InputStatistics:
    """The network's input over the first training batches.

    `constant` is the share of samples without any contrast inside, `identical` that all samples were the same.
    """

    samples: int = 0
    low: float = 0.0
    high: float = 0.0
    mean: float = 0.0
    std: float = 0.0
    constant: float = 0.0
    identical: bool = False
    not_finite: float = 0.0
    whole_numbers: bool = False
    shape: list[int] = field(default_factory=list)


@dataclass
class EpochEvidence:
    """One epoch, counted from 1. Sizes are medians over the steps that were looked at, None where none was.

    Attributes
    ----------
    gradient_norm, gradient_norm_high : L2 norm of all gradients before clipping, median and largest.
    gradient_mean : mean absolute gradient, median over steps.
    update_ratio : size of a step's change relative to the weights' own, median over weight matrices and steps.
    changed : share of weight tensors that changed at all.
    predictions : what the module's ``prediction_statistics`` said after validation.
    """

    epoch: int
    train_loss: float | None = None
    validation_loss: float | None = None
    learning_rate: float | None = None
    gradient_norm: float | None = None
    gradient_norm_high: float | None = None
    gradient_mean: float | None = None
    update_ratio: float | None = None
    changed: float | None = None
    predictions: dict[str, float] = field(default_factory=dict)


@dataclass
class Evidence:
    """Everything the rules may look at.

    Attributes
    ----------
    class_counts : part ("train", "validation") to label to count, where targets are classes.
    classes : number of classes of a cross-entropy loss, where the module says so.
    initial_loss : training loss before the first update.
    expected_initial_loss : what it should be for a network that knows nothing, such as ln K for K classes.
    baseline_losses : loss of trivial predictors, by name.
    not_finite : first sightings, each {"where", "name", "epoch", "step"}; where is "loss", "weights" ...
    out_of_memory : each {"from": batch size, "to": batch size}.
    train_samples, validation_samples : None where no validation part was given, 0 where it was empty.
    stop, stop_reason : as in `FitResult`; empty while the run goes on.
    seconds, monitor_seconds : of training, and of them those that gathering this evidence took.
    """

    train_samples: int | None = None
    validation_samples: int | None = None
    inputs: InputStatistics = field(default_factory=InputStatistics)
    class_counts: dict[str, dict[str, int]] = field(default_factory=dict)
    classes: int | None = None
    initial_loss: float | None = None
    expected_initial_loss: float | None = None
    baseline_losses: dict[str, float] = field(default_factory=dict)
    optimizer: str = ""
    learning_rate: float | None = None
    momentum: float | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    monitor: str = "validation_loss"
    mode: str = "min"
    epochs: list[EpochEvidence] = field(default_factory=list)
    not_finite: list[dict[str, Any]] = field(default_factory=list)
    out_of_memory: list[dict[str, int]] = field(default_factory=list)
    best_epoch: int | None = None
    stop: str = ""
    stop_reason: str = ""
    seconds: float = 0.0
    monitor_seconds: float = 0.0

    @property
    def last(self) -> EpochEvidence | None:
        return self.epochs[-1] if self.epochs else None

    @property
    def reference_loss(self) -> float | None:
        """Loss of the best predictor that knows nothing: the lowest baseline, else the expected or the first loss."""
        baselines = [value for value in self.baseline_losses.values() if value is not None]
        return min(baselines) if baselines else self.expected_initial_loss or self.initial_loss

    def judged_loss(self, epoch: EpochEvidence) -> float | None:
        """Validation loss of an epoch, or the training loss where there is no validation part."""
        return epoch.validation_loss if self.validation_samples else epoch.train_loss

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON; numbers that are not finite become null."""
        return finite(asdict(self))

    @classmethod
    def from_dict(cls, block: dict[str, Any]) -> Evidence:
        known = {name: value for name, value in block.items() if name in cls.__dataclass_fields__}
        known["inputs"] = InputStatistics(**known.get("inputs", {}))
        known["epochs"] = [EpochEvidence(**one) for one in known.get("epochs", [])]
        return cls(**known)

    def write(self, folder: Path) -> Path:
        return write_json(folder / "evidence.json", self.to_dict())

    @classmethod
    def read(cls, folder: Path) -> Evidence:
        """The evidence of a run folder.

        Raises
        ------
        StudyError : there is none, or it is damaged.
        """
        path = folder / "evidence.json"
        try:
            return cls.from_dict(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise StudyError("no readable evidence of training", place=path, fix="name a run folder") from error


def finite(value: Any) -> Any:
    """`value` with None for every number that is not finite."""
    if isinstance(value, dict):
        return {key: finite(one) for key, one in value.items()}
    if isinstance(value, list):
        return [finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value

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

MOST_LISTED = 64
"""Dead units of a layer whose numbers are kept."""


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
class TargetStatistics:
    """Continuous targets over the first training batches; the column of the smallest spread and that of the largest."""

    samples: int = 0
    mean: float = 0.0
    std_low: float = 0.0
    std_high: float = 0.0


@dataclass
class LayerUnits:
    """The units (features or channels) of one activation over a whole pass over a part.

    A unit fires for a sample when it lies, anywhere in it, outside the flat part of its activation, where a gradient
    passes. One that never fires in `samples` samples fires in fewer than 3 / `samples` of all (95 %, rule of three).

    Attributes
    ----------
    layer, function : where, "#2" for the second call in one forward pass, and which activation.
    part : "validation", or "train" where there is no validation part.
    dead, saturated : never fired; saturated where the activation is flat on both sides.
    nearly_dead : fired for fewer than one sample in a thousand.
    constant : fired, but with the same output for every sample.
    rate : share of samples a unit fires for, mean over units.
    zeros : share of values in the flat part, in the first batch: sparsity, which is healthy.
    at_start : of the dead, those that were dead before the first step.
    died, revived : since the start, dead now and not then, and the other way round.
    eval_only : never fired here, but did so in training mode in the same epoch.
    one_group : fire for the samples of one group only.
    which : numbers of the dead and saturated units, at most `MOST_LISTED`.
    """

    layer: str
    function: str
    units: int
    samples: int
    part: str = "validation"
    dead: int = 0
    saturated: int = 0
    nearly_dead: int = 0
    constant: int = 0
    rate: float = 0.0
    zeros: float | None = None
    at_start: int = 0
    died: int = 0
    revived: int = 0
    eval_only: int = 0
    one_group: int = 0
    which: list[int] = field(default_factory=list)


@dataclass
class EpochEvidence:
    """One epoch, counted from 1. Sizes are medians over the steps that were looked at, None where none was.

    Attributes
    ----------
    gradient_norm, gradient_norm_high : L2 norm of all gradients before clipping, median and largest.
    gradient_mean : mean absolute gradient, median over steps.
    gradient_first, gradient_last : the same of the first and of the last weight matrix alone.
    update_ratio : size of a step's change relative to the weights' own, median over weight matrices and steps.
    changed : share of weight tensors that changed at all.
    predictions : what the module's ``prediction_statistics`` said after validation.
    layers : the units of every activation, after validation.
    untrainable : weight matrix to [units whose incoming weights got no gradient in the whole epoch, units], where any.
    mode_losses : losses of one training batch with the same weights in training and in evaluation mode, where the
        network has batch normalisation.
    """

    epoch: int
    train_loss: float | None = None
    validation_loss: float | None = None
    learning_rate: float | None = None
    gradient_norm: float | None = None
    gradient_norm_high: float | None = None
    gradient_mean: float | None = None
    gradient_first: float | None = None
    gradient_last: float | None = None
    update_ratio: float | None = None
    changed: float | None = None
    predictions: dict[str, float] = field(default_factory=dict)
    layers: list[LayerUnits] = field(default_factory=list)
    untrainable: dict[str, list[int]] = field(default_factory=dict)
    mode_losses: list[float] = field(default_factory=list)

    @classmethod
    def from_dict(cls, block: dict[str, Any]) -> EpochEvidence:
        return cls(**block | {"layers": [LayerUnits(**one) for one in block.get("layers", [])]})


@dataclass
class Evidence:
    """Everything the rules may look at.

    Attributes
    ----------
    class_counts : part ("train", "validation") to label to count, where targets are classes.
    classes : number of classes of a cross-entropy loss, where the module says so.
    empty_targets : share of one-hot targets that name no class.
    targets : of a regression, where the module says what they are.
    initial_weights : weight matrix to {"gain": root mean square times root of fan-in, "identical": share of units
        that begin as copies of another, "units"}.
    recurrent_relu : recurrent layers with a ReLU.
    start : units before the first step.
    facts : what the data set, the module or a preflight check knows about the data, see `ethomorph.training.preflight`.
    error : what ended the training with an exception.
    initial_loss : training loss before the first update.
    expected_initial_loss : what it should be for a network that knows nothing, such as ln K for K classes.
    baseline_losses : loss of trivial predictors, by name.
    not_finite : first sightings, each {"where", "name", "epoch", "step"}; where is "loss", "weights" ...
    out_of_memory : each {"from": batch size, "to": batch size}.
    train_samples, validation_samples : None where no validation part was given, 0 where it was empty.
    steps : optimizer steps done.
    stop, stop_reason : as in `FitResult`; empty while the run goes on.
    seconds, monitor_seconds : of training, and of them those that gathering this evidence took.
    """

    train_samples: int | None = None
    validation_samples: int | None = None
    inputs: InputStatistics = field(default_factory=InputStatistics)
    class_counts: dict[str, dict[str, int]] = field(default_factory=dict)
    classes: int | None = None
    empty_targets: float = 0.0
    targets: TargetStatistics = field(default_factory=TargetStatistics)
    initial_weights: dict[str, dict[str, float]] = field(default_factory=dict)
    recurrent_relu: list[str] = field(default_factory=list)
    start: list[LayerUnits] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    error: str = ""
    steps: int = 0
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
        known["targets"] = TargetStatistics(**known.get("targets", {}))
        known["start"] = [LayerUnits(**one) for one in known.get("start", [])]
        known["epochs"] = [EpochEvidence.from_dict(one) for one in known.get("epochs", [])]
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

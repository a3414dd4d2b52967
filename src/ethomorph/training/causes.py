"""What can be wrong with a training: causes, the findings that speak for each, and what tells or mends it.

The weights are a ladder, not probabilities: what was seen in the data or the settings comes before what only fits the
symptoms, and among those the learning rate comes first, since nothing kills more units. A new cause is one more entry.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ethomorph.training.evidence import Evidence
from ethomorph.training.health import Finding

Predicate = Callable[[Evidence, Finding], bool]


def always(evidence: Evidence, finding: Finding) -> bool:
    return True


def says(*words: str) -> Predicate:
    """Whether a finding's sentence has one of the words; findings of one rule differ by what they say."""
    return lambda evidence, finding: any(word in finding.evidence for word in words)


def high_rate(evidence: Evidence, finding: Finding) -> bool:
    return (evidence.learning_rate or 0.0) > 1e-4


def low_rate(evidence: Evidence, finding: Finding) -> bool:
    return not high_rate(evidence, finding)


def died(evidence: Evidence, finding: Finding) -> bool:
    layers = evidence.last.layers if evidence.last else []
    return sum(one.died for one in layers) >= sum(one.at_start for one in layers)


def born(evidence: Evidence, finding: Finding) -> bool:
    return not died(evidence, finding)


def not_scaled(evidence: Evidence, finding: Finding) -> bool:
    """Whether the input may be on a wrong scale: what is known to be standardised is not."""
    seen = evidence.inputs
    return not seen.samples or abs(seen.mean) > 0.5 or not 0.5 < seen.std < 2.0


def continuous(evidence: Evidence, finding: Finding) -> bool:
    """Whether the targets are continuous."""
    return evidence.targets.samples > 0


def stopped_early(evidence: Evidence, finding: Finding) -> bool:
    return evidence.stop == "early"


@dataclass(frozen=True)
class Mark:
    """How much a finding of `rule` speaks for a cause, `when` it does."""

    rule: str
    weight: float
    when: Predicate = always


@dataclass(frozen=True)
class Cause:
    """Something that can be wrong.

    Attributes
    ----------
    says : as a person would say it.
    experiment, supports : the change that tells it apart, and what an outcome for the cause looks like: "helps" (the
        run learns more), "same" (as much is gained as without), "fails" (one batch alone cannot be fitted).
    remedies : changes that mend it, the best first; a task says how it makes them (`Task.remedies`).
    advice : what to do where no change can mend it.
    """

    name: str
    says: str
    marks: tuple[Mark, ...]
    advice: str
    experiment: str = ""
    supports: str = "helps"
    remedies: tuple[str, ...] = ()


CAUSES = (
    Cause(
        "labels", "labels do not fit the network's outputs",
        (Mark("labels", 12), Mark("crash", 4, says("out of bounds")), Mark("initial_loss", 0.5)),
        "number the classes from 0 by a written list of classes",
    ),
    Cause(
        "answers", "the answers that were scored are not the network's",
        (Mark("constant_answer", 12), Mark("text_numbers", 10)),
        "score what the network predicts, compared as numbers",
    ),
    Cause(
        "split", "the parts of the split do not do their work",
        (Mark("split", 8), Mark("overlap", 9)),
        "split again by group, write the split down, and count samples, not batches",
    ),
    Cause(
        "files", "labels and files are not matched one to one",
        (Mark("files", 9), Mark("chance", 0.5), Mark("input_constant", 1)),
        "match whole names, and leave out stubs, copies and overlays",
    ),
    Cause(
        "clip_reading", "only a part of each clip is read",
        (Mark("clip_reading", 9), Mark("chance", 0.5), Mark("plateau", 0.5)),
        "sample frames evenly over the whole clip", remedies=("whole_clip",),
    ),
    Cause(
        "frame_augmentation", "augmentation destroys motion, since it draws anew for every frame",
        (Mark("frame_augmentation", 9), Mark("chance", 0.5)),
        "draw once a clip and apply to all its frames", remedies=("clip_augmentation",),
    ),
    Cause(
        "input_empty", "the input holds nothing, or values that are no numbers",
        (Mark("input_constant", 10), Mark("input_finite", 12), Mark("not_finite", 0.5)),
        "look at what the loader gives; fill or leave out missing values",
    ),
    Cause(
        "input_scale", "the input is not on the scale that the network was made for",
        (Mark("input_scale", 9),
         *(Mark(rule, weight, not_scaled) for rule, weight in (
             ("initial_loss", 2), ("saturation", 1.5), ("dead_units", 1), ("collapse", 1), ("unlearned", 0.8),
             ("chance", 0.8), ("gradient", 1), ("not_finite", 1)))),
        "divide pixels by their full scale, or standardise", "scaled_input", remedies=("scaled_input",),
    ),
    Cause(
        "rate_high", "the learning rate is too high",
        (Mark("learning_rate", 9, high_rate), Mark("update_size", 4, says("(0.1 is much)")), Mark("not_finite", 3),
         Mark("oscillation", 3), Mark("dead_units", 3, died), Mark("collapse", 2), Mark("unlearned", 1, high_rate),
         Mark("chance", 1, high_rate), Mark("gradient", 1.5, says("reached")), Mark("frozen", 1, high_rate),
         Mark("plateau", 0.7)),
        "divide the learning rate by 10", "lower_rate", remedies=("usual_rate", "lower_rate", "much_lower_rate"),
    ),
    Cause(
        "rate_low", "the learning rate is too low",
        (Mark("learning_rate", 9, low_rate), Mark("update_size", 5, says("nothing is learned", "no weight changed")),
         Mark("unlearned", 1, low_rate), Mark("frozen", 1, low_rate), Mark("plateau", 0.5), Mark("few_steps", 0.5)),
        "multiply the learning rate by 10", "higher_rate", remedies=("usual_rate", "higher_rate"),
    ),
    Cause(
        "initial_weights", "the weights start badly",
        (Mark("initial_weights", 8), Mark("dead_units", 2, born), Mark("initial_loss", 1), Mark("saturation", 1),
         Mark("vanishing", 1)),
        "use He initialisation and biases of zero",
    ),
    Cause(
        "target_scale", "the targets are far from mean 0 and spread 1",
        (Mark("target_scale", 8), Mark("dead_units", 0.5, continuous), Mark("initial_loss", 0.5, continuous)),
        "scale the targets on the training part and invert predictions", remedies=("scaled_targets",),
    ),
    Cause(
        "batch_norm", "batch normalisation judges otherwise than it trains",
        (Mark("mode_gap", 8), Mark("memory", 0.5)),
        "larger batches, or group normalisation", remedies=("group_norm",),
    ),
    Cause(
        "recurrent_relu", "a recurrent layer's state grows without bound",
        (Mark("recurrent_relu", 7), Mark("gradient", 1, says("reached"))),
        "use tanh, an LSTM or a GRU",
    ),
    Cause(
        "leak", "the answer reaches the network by another way than the input",
        (Mark("controls", 8, says("zeros")), Mark("initial_loss", 2, says("knows nothing")), Mark("overlap", 1)),
        "look for order, names, padding or a shared sample that tell the answer", "zero_input", "same",
    ),
    Cause(
        "dead_units", "units that passed no gradient keep the network from learning",
        (Mark("dead_units", 2), Mark("untrainable", 2), Mark("constant_units", 2), Mark("vanishing", 1)),
        "a leaky ReLU, once rate and input scale are right", "other_activation", remedies=("other_activation",),
    ),
    Cause(
        "saturation", "saturated units keep the gradient from the first layers",
        (Mark("saturation", 2), Mark("vanishing", 2)),
        "smaller initial weights, or ReLU in place of sigmoid and tanh",
    ),
    Cause(
        "disconnected", "the loss does not depend on the network's weights",
        (Mark("gradient", 3, says("no weight")), Mark("untrainable", 1),
         Mark("update_size", 3, says("no weight changed")), Mark("collapse", 0.5), Mark("crash", 3),
         Mark("unlearned", 0.5)),
        "see that every parameter is given to the optimizer and that the loss is not detached", "one_batch", "fails",
    ),
    Cause(
        "too_short", "training ended before learning began",
        (Mark("few_steps", 4), Mark("unlearned", 2, stopped_early), Mark("unlearned", 0.5)),
        "more steps: smaller batches, more epochs, later stopping",
    ),
    Cause(
        "labels_unrelated", "the labels do not belong to their samples",
        (Mark("controls", 8, says("dealt")), Mark("chance", 1), Mark("unlearned", 0.7), Mark("frozen", 0.5)),
        "draw samples with their labels and look at them", "shuffled_labels", "same",
    ),
    Cause(
        "rare_classes", "classes or foreground are too rare for the loss, so that only the common ones are learned",
        (Mark("collapse", 1.5), Mark("frozen", 0.5), Mark("chance", 0.7)),
        "weigh rare classes up, or sample them more often, and correct the prior after", remedies=("class_weights",),
    ),
    Cause(
        "overfit", "the network remembers its training samples",
        (Mark("gap", 6), Mark("overtraining", 3)),
        "more individuals, augmentation, or a smaller network",
    ),
    Cause(
        "momentum", "much momentum carries the weights past where they should stop",
        (Mark("oscillation", 1.5), Mark("dead_units", 0.7, died), Mark("not_finite", 0.5)),
        "less momentum", "no_momentum", remedies=("no_momentum",),
    ),
    Cause(
        "memory", "memory allows only very small batches", (Mark("memory", 2),), "smaller samples",
    ),
    Cause(
        "judgement", "too few samples to judge by", (Mark("small_validation", 3),), "cross-validate over groups",
    ),
    Cause(
        "shortcut", "the network tells the groups apart, not the animals' doings",
        (Mark("shortcut_units", 3),), "split by group, and look at what differs between them",
    ),
)  # fmt: skip
"""Every cause, the first first where marks are equal."""

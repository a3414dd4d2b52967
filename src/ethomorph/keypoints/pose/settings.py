"""What a person may set about a pose model, in the five groups that SLEAP's users know, checked when made."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Self

from ethomorph.core.errors import StudyError
from ethomorph.study.settings import changed

METHODS = ("single_instance", "top_down", "bottom_up")
BACKBONES = ("unet", "unet-bn", "efficientnet-lite0")
LOSSES = ("auto", "softmax", "balanced", "mse")


@dataclass(frozen=True)
class Data:
    """What the network is shown.

    Parameters
    ----------
    input_scale : pictures are resized by this before everything else.
    channels : ``grey`` or ``rgb``.
    crop_px : side of a top-down crop, in px after scaling; 0 takes it from the labelled animals.
    crop_padding : how much larger than the largest labelled animal a crop is, where its side is taken from the data.
    crops : animals of one frame that a top-down step learns from at most; they cost less than finding them does.
    window_px : side of the squares about animals that a bottom-up network is trained on, in px after scaling, so that
        large frames can be learned at full detail; 0 trains on whole frames. Prediction always sees the whole.
    memory_mb : labelled frames that are kept decoded; beyond that they are read again each time.
    """

    input_scale: float = 1.0
    channels: str = "grey"
    crop_px: int = 0
    crop_padding: float = 1.2
    crops: int = 4
    window_px: int = 0
    memory_mb: int = 3072

    def __post_init__(self) -> None:
        refuse_outside("data.input_scale", self.input_scale, 0.05, 4)
        refuse_outside("data.crop_padding", self.crop_padding, 1, 4)
        refuse_outside("data.crop_px", self.crop_px, 0, 4096)
        refuse_outside("data.window_px", self.window_px, 0, 4096)
        refuse_outside("data.crops", self.crops, 1, 64)
        refuse_word("data.channels", self.channels, ("grey", "rgb"))


@dataclass(frozen=True)
class Optimization:
    """How it learns.

    Parameters
    ----------
    epochs, steps_an_epoch, batch : passes, optimizer steps in each, samples in each step.
    optimizer : ``adam`` or ``adamw``.
    learning_rate : at its highest.
    schedule : ``cosine`` falls to a hundredth at the last epoch, ``plateau`` reacts to the loss, ``constant``.
    plateau_patience, plateau_factor : of ``plateau``.
    patience : epochs without improvement after which training stops; 0 never stops early.
    min_delta : least improvement that counts, relative to the best loss so far.
    warm_up : epochs in which early stopping does not count yet.
    averaging : decay of the moving average of the weights, which predicts; 0 for none.
    weight_decay : of ``adamw``.
    hard_mining : whether nodes with a large loss count more (online hard keypoint mining).
    hard_to_easy_ratio : a node is hard where its loss is this many times the smallest.
    min_hard, max_hard : bounds of how many nodes are hard; max 0 for no bound.
    hard_weight : weight of the hard nodes' mean loss, added to the loss.
    judged : validation frames that are looked at after each epoch at most, spread evenly over the part; 0 for all.
        Neighbouring frames of a video say the same.
    workers : processes that prepare samples; 0 prepares them in this one, which suits training on a CPU.
    """

    epochs: int = 200
    steps_an_epoch: int = 200
    batch: int = 4
    optimizer: str = "adam"
    learning_rate: float = 1e-3
    schedule: str = "cosine"
    plateau_patience: int = 5
    plateau_factor: float = 0.5
    patience: int = 0
    min_delta: float = 1e-3
    warm_up: int = 5
    averaging: float = 0.99
    weight_decay: float = 1e-4
    hard_mining: bool = False
    hard_to_easy_ratio: float = 2.0
    min_hard: int = 2
    max_hard: int = 0
    hard_weight: float = 5.0
    judged: int = 200
    workers: int = 0

    def __post_init__(self) -> None:
        for name in ("epochs", "steps_an_epoch", "batch"):
            refuse_outside(f"optimization.{name}", getattr(self, name), 1, 10**7)
        refuse_outside("optimization.averaging", self.averaging, 0, 0.9999)
        refuse_outside("optimization.hard_to_easy_ratio", self.hard_to_easy_ratio, 1, 1e6)
        refuse_word("optimization.optimizer", self.optimizer, ("adam", "adamw"))
        refuse_word("optimization.schedule", self.schedule, ("cosine", "plateau", "constant"))


@dataclass(frozen=True)
class Augmentation:
    """What is varied, on picture and points together. Shares are of the brightest possible value.

    Parameters
    ----------
    rotation_min_deg, rotation_max_deg, scale_min, scale_max : ranges, drawn uniformly.
    translate_px : largest shift along each axis, in px of the network's input.
    flip : ``none``, ``horizontal`` or ``vertical``, for half of the samples; symmetric nodes change places.
    contrast_min, contrast_max : factor about the picture's mean.
    gamma_min, gamma_max : exponent on brightness in 0..1.
    brightness_min, brightness_max : factor.
    shift_min, shift_max : what is added, as a share.
    noise_mean, noise_sd : Gaussian noise a pixel, as shares.
    uniform_noise_max : uniform noise from 0 up, as a share.
    """

    rotation_min_deg: float = -30.0
    rotation_max_deg: float = 30.0
    scale_min: float = 0.9
    scale_max: float = 1.1
    translate_px: float = 0.0
    flip: str = "none"
    contrast_min: float = 0.8
    contrast_max: float = 1.25
    gamma_min: float = 1.0
    gamma_max: float = 1.0
    brightness_min: float = 0.9
    brightness_max: float = 1.1
    shift_min: float = 0.0
    shift_max: float = 0.0
    noise_mean: float = 0.0
    noise_sd: float = 0.01
    uniform_noise_max: float = 0.0

    def __post_init__(self) -> None:
        refuse_word("augmentation.flip", self.flip, ("none", "horizontal", "vertical"))
        for low in ("rotation_{}_deg", "scale_{}", "contrast_{}", "gamma_{}", "brightness_{}", "shift_{}"):
            least, most = (getattr(self, low.format(end)) for end in ("min", "max"))
            if least > most:
                raise StudyError(f"{least} to {most}", place=f"augmentation.{low.format('min')}", fix="swap the two")
        refuse_outside("augmentation.scale_min", self.scale_min, 0.1, 10)

    @classmethod
    def none(cls) -> Self:
        """Nothing varied."""
        return cls(0, 0, 1, 1, 0, "none", 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0)


@dataclass(frozen=True)
class Model:
    """The network that heads are bound to.

    Parameters
    ----------
    backbone : ``unet`` (SLEAP's, parameter for parameter), ``unet-bn`` (with batch normalisation, trains faster) or
        ``efficientnet-lite0`` (encoder trained on ImageNet; learns from few frames).
    filters, filters_rate : channels of the finest block, and their factor from block to block.
    max_stride : of the coarsest block; with it grows the receptive field.
    stem_stride : stride of the finest block (``unet-bn`` only).
    convs_per_block, kernel_size, middle_block, up_interpolate : as SLEAP has them (``unet`` only).
    """

    backbone: str = "unet"
    filters: int = 16
    filters_rate: float = 2.0
    max_stride: int = 16
    stem_stride: int = 1
    convs_per_block: int = 2
    kernel_size: int = 3
    middle_block: bool = True
    up_interpolate: bool = True

    def __post_init__(self) -> None:
        refuse_word("model.backbone", self.backbone, BACKBONES)
        for name in ("max_stride", "stem_stride"):
            refuse_no_power(f"model.{name}", getattr(self, name))
        refuse_outside("model.filters", self.filters, 1, 1024)
        refuse_outside("model.filters_rate", self.filters_rate, 1, 4)


@dataclass(frozen=True)
class Heads:
    """What is read off the network, and how.

    Parameters
    ----------
    sigma_px, output_stride : width and stride of confidence maps, in px of the network's input.
    loss : of confidence maps. ``softmax`` (maps of one peak) and ``balanced`` (maps of many) keep thin targets from
        being drowned by the background; ``mse`` is SLEAP's; ``auto`` takes the one that fits.
    peak_threshold : least confidence of a point that is given.
    anchor : node that a top-down crop is centred on; empty for the middle of the animal's nodes.
    centroid_scale, centroid_sigma_px, centroid_stride : of the network that finds animals (top-down).
    field_sigma_px, field_stride, field_weight : of part affinity fields (bottom-up).
    grouping : ``hungarian`` or ``greedy``: how points of one edge are paired (bottom-up).
    instances : animals in a frame at most; 0 takes the most that were labelled in one.
    """

    sigma_px: float = 2.5
    output_stride: int = 2
    loss: str = "auto"
    peak_threshold: float = 0.2
    anchor: str = ""
    centroid_scale: float = 0.5
    centroid_sigma_px: float = 2.5
    centroid_stride: int = 2
    field_sigma_px: float = 15.0
    field_stride: int = 4
    field_weight: float = 4.0
    grouping: str = "hungarian"
    instances: int = 0

    def __post_init__(self) -> None:
        refuse_word("heads.loss", self.loss, LOSSES)
        refuse_word("heads.grouping", self.grouping, ("hungarian", "greedy"))
        for name in ("output_stride", "centroid_stride", "field_stride"):
            refuse_no_power(f"heads.{name}", getattr(self, name))
        for name in ("sigma_px", "centroid_sigma_px", "field_sigma_px"):
            refuse_outside(f"heads.{name}", getattr(self, name), 0.1, 1000)
        refuse_outside("heads.peak_threshold", self.peak_threshold, 0, 1)


@dataclass(frozen=True)
class PoseSettings:
    """All five groups.

    Examples
    --------
    >>> PoseSettings.from_dict({"heads": {"sigma_px": 5}}).heads.sigma_px
    5.0
    """

    data: Data = field(default_factory=Data)
    optimization: Optimization = field(default_factory=Optimization)
    augmentation: Augmentation = field(default_factory=Augmentation)
    model: Model = field(default_factory=Model)
    heads: Heads = field(default_factory=Heads)

    def __post_init__(self) -> None:
        for name in ("output_stride", "centroid_stride", "field_stride"):
            if getattr(self.heads, name) > self.model.max_stride:
                raise StudyError(
                    f"{getattr(self.heads, name)} is coarser than model.max_stride = {self.model.max_stride}",
                    place=f"settings.heads.{name}", fix="give a smaller stride",
                )  # fmt: skip
        for name in ("crop_px", "window_px"):
            if getattr(self.data, name) % self.model.max_stride:
                raise StudyError(
                    f"{getattr(self.data, name)} is no multiple of model.max_stride = {self.model.max_stride}",
                    place=f"settings.data.{name}", fix="give a multiple",
                )  # fmt: skip

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Settings from nested tables with any of the keys; raises StudyError for unknown ones and wrong types."""
        return changed(cls(), values, "settings")

    def to_dict(self) -> dict[str, Any]:
        """Nested plain tables, the inverse of `from_dict`."""
        return asdict(self)


def refuse_outside(name: str, value: float, least: float, most: float) -> None:
    """Refuse a number outside its range."""
    if not least <= value <= most:
        raise StudyError(str(value), place=f"settings.{name}", fix=f"give a number from {least:g} to {most:g}")


def refuse_word(name: str, value: str, known: tuple[str, ...]) -> None:
    """Refuse a word that is not one of `known`."""
    if value not in known:
        raise StudyError(repr(value), place=f"settings.{name}", fix=f"use one of {', '.join(known)}")


def refuse_no_power(name: str, value: int) -> None:
    """Refuse a stride that is no power of two."""
    if value < 1 or value & (value - 1):
        raise StudyError(str(value), place=f"settings.{name}", fix="give a power of two, such as 2, 4 or 16")

"""SLEAP's training profiles, TensorFlow's ``.json`` and sleap-nn's ``.yaml``, as pose settings.

Every key of a profile is either carried over, with its unit converted, or listed as having no counterpart. Nothing of
a profile is ever run.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ethomorph.core.errors import FormatError
from ethomorph.keypoints.pose.settings import Augmentation, Heads, PoseSettings

FULL_SCALE = 255.0
"""TensorFlow SLEAP varies pixels of 0..255, sleap-nn and this package of 0..1."""
Convert = Callable[[Any], Any]
Row = tuple[str, Convert]


def share(value: Any) -> float:
    """A brightness of 0..255 as a share of full scale.

    >>> share(51)
    0.2
    """
    return float(value) / FULL_SCALE


def same(value: Any) -> Any:
    return value


def number_or_none(value: Any) -> float:
    return 0 if value is None else value


@dataclass
class Profile:
    """A profile as read.

    Attributes
    ----------
    method : ``single_instance``, ``top_down`` or ``bottom_up``.
    head : the head that the profile trains, by SLEAP's name.
    values : our nested settings.
    validation_fraction : share of frames for validation; the study's [split] rules here.
    seed : None where the profile has none.
    without : ``key = value: why`` for every key that has no counterpart.
    """

    method: str
    head: str
    values: dict[str, dict[str, Any]]
    validation_fraction: float | None = None
    seed: int | None = None
    without: list[str] = field(default_factory=list)

    @property
    def settings(self) -> PoseSettings:
        return PoseSettings.from_dict(self.values)


HEADS = {
    "single_instance": "single_instance",
    "centroid": "top_down",
    "centered_instance": "top_down",
    "multi_instance": "bottom_up",
    "bottomup": "bottom_up",
}

_OHKM: dict[str, Row] = {
    "online_mining": ("optimization.hard_mining", bool),
    "hard_to_easy_ratio": ("optimization.hard_to_easy_ratio", float),
    "min_hard_keypoints": ("optimization.min_hard", int),
    "max_hard_keypoints": ("optimization.max_hard", number_or_none),
    "loss_scale": ("optimization.hard_weight", float),
}
_UNET: dict[str, Row] = {
    "filters": ("model.filters", int),
    "filters_rate": ("model.filters_rate", float),
    "max_stride": ("model.max_stride", int),
    "middle_block": ("model.middle_block", bool),
    "up_interpolate": ("model.up_interpolate", bool),
    "kernel_size": ("model.kernel_size", int),
    "convs_per_block": ("model.convs_per_block", int),
}
TF: dict[str, Row] = {
    "data.preprocessing.input_scaling": ("data.input_scale", float),
    "data.instance_cropping.crop_size": ("data.crop_px", number_or_none),
    "data.instance_cropping.center_on_part": ("heads.anchor", lambda v: v or ""),
    "optimization.batch_size": ("optimization.batch", int),
    "optimization.min_batches_per_epoch": ("optimization.steps_an_epoch", int),
    "optimization.epochs": ("optimization.epochs", int),
    "optimization.optimizer": ("optimization.optimizer", str.lower),
    "optimization.initial_learning_rate": ("optimization.learning_rate", float),
    "optimization.learning_rate_schedule.reduction_factor": ("optimization.plateau_factor", float),
    "optimization.learning_rate_schedule.plateau_patience": ("optimization.plateau_patience", int),
    "optimization.early_stopping.plateau_patience": ("optimization.patience", int),
    **{f"optimization.hard_keypoint_mining.{k}": v for k, v in _OHKM.items()},
    **{f"model.backbone.unet.{k}": v for k, v in _UNET.items()},
}
NN: dict[str, Row] = {
    "data_config.preprocessing.scale": ("data.input_scale", float),
    "data_config.preprocessing.crop_size": ("data.crop_px", number_or_none),
    "trainer_config.train_data_loader.batch_size": ("optimization.batch", int),
    "trainer_config.min_train_steps_per_epoch": ("optimization.steps_an_epoch", int),
    "trainer_config.max_epochs": ("optimization.epochs", int),
    "trainer_config.optimizer_name": ("optimization.optimizer", str.lower),
    "trainer_config.optimizer.lr": ("optimization.learning_rate", float),
    "trainer_config.lr_scheduler.reduce_lr_on_plateau.factor": ("optimization.plateau_factor", float),
    "trainer_config.lr_scheduler.reduce_lr_on_plateau.patience": ("optimization.plateau_patience", int),
    "trainer_config.early_stopping.patience": ("optimization.patience", int),
    **{f"trainer_config.online_hard_keypoint_mining.{k}": v for k, v in _OHKM.items()},
    **{f"model_config.backbone_config.unet.{k}": v for k, v in _UNET.items()},
}
RELATIVE = "absolute thresholds stop a training whose loss is small; here they are relative, with a warm-up"
WHY = {
    "plateau_min_delta": RELATIVE, "min_delta": RELATIVE, "threshold": RELATIVE, "threshold_mode": RELATIVE,
    "plateau_cooldown": "no cooldown after a plateau", "cooldown": "no cooldown after a plateau",
    "min_learning_rate": "no floor of the learning rate", "min_lr": "no floor of the learning rate",
    "stacks": "only one stack", "offset_refinement": "points are refined by mean shift instead",
    "amsgrad": "plain Adam", "search_path_hints": "videos are found by --images",
}  # fmt: skip
QUIET = ("outputs", "name", "description", "sleap_version", "filename")
"""Parts of a profile that say where things go, not how to learn."""


def read_profile(path: str | Path) -> Profile:
    """Read a training profile of either kind.

    Raises
    ------
    FormatError : neither, or a head that has no counterpart.
    """
    path = Path(path)
    document = _parsed(path)
    flat = flattened(document)
    if "model" in document and "optimization" in document:
        return _read(flat, path, TF, "model.heads", _tf_switches)
    if "model_config" in document and "trainer_config" in document:
        return _read(flat, path, NN, "model_config.head_configs", _nn_switches)
    raise FormatError("not a SLEAP training profile", place=path, fix="give SLEAP's .json or sleap-nn's .yaml")


def combined(profiles: list[Profile]) -> Profile:
    """Two profiles of one top-down model, centroid and centred instance, as one; a single one as it is."""
    if len(profiles) == 1:
        return profiles[0]
    by_head = {one.head: one for one in profiles}
    if set(by_head) != {"centroid", "centered_instance"} or len(profiles) != 2:
        raise FormatError(
            f"profiles of {', '.join(one.head for one in profiles)}", fix="give one, or centroid and centered_instance"
        )
    main, centroid = by_head["centered_instance"], by_head["centroid"]
    heads = {**main.values.get("heads", {})}
    heads |= {k: v for k, v in centroid.values.get("heads", {}).items() if k.startswith("centroid")}
    differing = [
        f"centroid {group}.{key} = {value}: both networks share this setting here"
        for group, table in centroid.values.items()
        if group not in ("heads", "data")
        for key, value in table.items()
        if main.values.get(group, {}).get(key, value) != value
    ]
    without = list(dict.fromkeys([*main.without, *centroid.without, *differing]))
    return Profile(
        "top_down", "centered_instance", main.values | {"heads": heads}, main.validation_fraction, main.seed, without
    )


def _read(flat: dict[str, Any], path: Path, table: dict[str, Row], heads: str, switches: Any) -> Profile:
    head = next((h for h in HEADS if any(k.startswith(f"{heads}.{h}.") and flat[k] is not None for k in flat)), None)
    if head is None:
        raise FormatError("trains no head that is known here", place=path, fix=f"known are {', '.join(HEADS)}")
    profile = Profile(HEADS[head], head, {})
    used: set[str] = set()
    try:
        for key, (target, convert) in table.items():
            if key in flat and (flat[key] is not None or convert is number_or_none):
                put(profile.values, target, convert(flat[key]))
                used.add(key)
        _heads(flat, f"{heads}.{head}", head, profile, used)
        switches(flat, profile, used)
    except (TypeError, ValueError, AttributeError) as error:
        raise FormatError(f"a value of the wrong kind ({error})", place=path, fix="correct the profile") from None
    put(profile.values, "model.backbone", "unet")
    profile.without += [
        f"{key} = {_short(value)}: {WHY.get(key.rsplit('.', 1)[-1], 'no counterpart')}"
        for key, value in flat.items()
        if key not in used and value not in (None, [], {}, "", False) and key.split(".")[0] not in QUIET
    ]
    return profile


def _heads(flat: dict[str, Any], prefix: str, head: str, profile: Profile, used: set[str]) -> None:
    """Sigma, stride, anchor and loss weight of the profile's heads."""
    ours = ("centroid_sigma_px", "centroid_stride") if head == "centroid" else ("sigma_px", "output_stride")
    for inner in ("", "confmaps."):
        _take(flat, f"{prefix}.{inner}sigma", profile, f"heads.{ours[0]}", float, used)
        _take(flat, f"{prefix}.{inner}output_stride", profile, f"heads.{ours[1]}", int, used)
        _take(flat, f"{prefix}.{inner}anchor_part", profile, "heads.anchor", str, used)
    _take(flat, f"{prefix}.pafs.sigma", profile, "heads.field_sigma_px", float, used)
    _take(flat, f"{prefix}.pafs.output_stride", profile, "heads.field_stride", int, used)
    _take(flat, f"{prefix}.pafs.loss_weight", profile, "heads.field_weight", field_weight, used)
    if head == "centroid":
        scale = profile.values.get("data", {}).pop("input_scale", None)
        if scale is not None:
            put(profile.values, "heads.centroid_scale", scale)


def field_weight(weight: Any) -> float:
    """A weight of SLEAP's squared error as one of our loss, which is scaled by the field's strength: 1 is the default.

    >>> field_weight(0.5) / field_weight(1.0)
    0.5
    """
    return float(weight) * Heads().field_weight


def _tf_switches(flat: dict[str, Any], profile: Profile, used: set[str]) -> None:
    """TensorFlow's on/off keys: a range counts only where its switch is on; brightness and noise are of 0..255."""
    put(profile.values, "data.channels", "rgb" if flat.get("data.preprocessing.ensure_rgb") else "grey")
    used |= {"data.preprocessing.ensure_rgb", "data.preprocessing.ensure_grayscale"}
    profile.validation_fraction = flat.get("data.labels.validation_fraction")
    used.add("data.labels.validation_fraction")
    plateau = flat.get("optimization.learning_rate_schedule.reduce_on_plateau", True)
    put(profile.values, "optimization.schedule", "plateau" if plateau else "constant")
    used.add("optimization.learning_rate_schedule.reduce_on_plateau")
    stop = "optimization.early_stopping.stop_training_on_plateau"
    if flat.get(stop) is False:
        put(profile.values, "optimization.patience", 0)
    used.add(stop)
    ranges: dict[str, list[tuple[str, str, Convert, Any]]] = {
        "rotate": [
            ("rotation_min_angle", "rotation_min_deg", float, 0), ("rotation_max_angle", "rotation_max_deg", float, 0)
        ],
        "scale": [("scale_min", "scale_min", float, 1), ("scale_max", "scale_max", float, 1)],
        "translate": [("translate_max", "translate_px", float, 0)],
        "contrast": [("contrast_min_gamma", "gamma_min", float, 1), ("contrast_max_gamma", "gamma_max", float, 1)],
        "brightness": [("brightness_min_val", "shift_min", share, 0), ("brightness_max_val", "shift_max", share, 0)],
        "uniform_noise": [("uniform_noise_max_val", "uniform_noise_max", share, 0)],
        "gaussian_noise": [
            ("gaussian_noise_mean", "noise_mean", share, 0), ("gaussian_noise_stddev", "noise_sd", share, 0)
        ],
    }  # fmt: skip
    prefix = "optimization.augmentation_config."
    still(profile)
    for switch, pairs in ranges.items():
        on = bool(flat.get(prefix + switch))
        used.add(prefix + switch)
        for source, target, convert, off in pairs:
            used.add(prefix + source)
            value = flat.get(prefix + source)
            put(profile.values, f"augmentation.{target}", convert(value) if on and value is not None else off)
    used |= {f"{prefix}translate_min", f"{prefix}uniform_noise_min_val"}
    flip = "horizontal" if flat.get(f"{prefix}flip_horizontal", True) else "vertical"
    put(profile.values, "augmentation.flip", flip if flat.get(f"{prefix}random_flip") else "none")
    used |= {f"{prefix}flip_horizontal", f"{prefix}random_flip"}


def _nn_switches(flat: dict[str, Any], profile: Profile, used: set[str]) -> None:
    """sleap-nn's probabilities: a range counts where its probability is above 0, here then for every sample."""
    prefix = "data_config.preprocessing.ensure_"
    put(profile.values, "data.channels", "rgb" if flat.get(f"{prefix}rgb") else "grey")
    used |= {f"{prefix}rgb", f"{prefix}grayscale"}
    profile.validation_fraction = flat.get("data_config.validation_fraction")
    seed = flat.get("trainer_config.seed")
    profile.seed = int(seed) if seed is not None else None
    used |= {"data_config.validation_fraction", "trainer_config.seed"}
    plateau = any(k.startswith("trainer_config.lr_scheduler.reduce_lr_on_plateau.") for k in flat)
    put(profile.values, "optimization.schedule", "plateau" if plateau else "constant")
    stop = "trainer_config.early_stopping.stop_training_on_plateau"
    if flat.get(stop) is False:
        put(profile.values, "optimization.patience", 0)
    used.add(stop)
    still(profile)
    augment = "data_config.augmentation_config."
    used.add("data_config.use_augmentations_train")
    if flat.get("data_config.use_augmentations_train") is False:
        used |= {key for key in flat if key.startswith(augment)}
        return
    ranges = {
        "geometric.rotation_p": [("rotation_min", "rotation_min_deg"), ("rotation_max", "rotation_max_deg")],
        "geometric.scale_p": [("scale_min", "scale_min"), ("scale_max", "scale_max")],
        "intensity.contrast_p": [("contrast_min", "contrast_min"), ("contrast_max", "contrast_max")],
        "intensity.brightness_p": [("brightness_min", "brightness_min"), ("brightness_max", "brightness_max")],
        "intensity.gaussian_noise_p": [("gaussian_noise_mean", "noise_mean"), ("gaussian_noise_std", "noise_sd")],
        "intensity.uniform_noise_p": [("uniform_noise_max", "uniform_noise_max")],
    }
    for switch, pairs in ranges.items():
        group = switch.split(".")[0]
        probability = flat.get(augment + switch)
        default = 1.0 if group == "geometric" else 0.0
        on = (default if probability is None else float(probability)) > 0
        used.add(augment + switch)
        if on and probability is not None and 0 < float(probability) < 1:
            profile.without.append(f"{augment}{switch} = {probability}: every sample is varied here")
        for source, target in pairs:
            key = f"{augment}{group}.{source}"
            used.add(key)
            if on and flat.get(key) is not None:
                put(profile.values, f"augmentation.{target}", float(flat[key]))
    used.add(f"{augment}intensity.uniform_noise_min")
    flip = f"{augment}geometric.flip_p"
    if float(flat.get(flip) or 0) > 0:
        put(profile.values, "augmentation.flip", "horizontal")
    used.add(flip)


def still(profile: Profile) -> None:
    """Begin from no augmentation at all: a profile says what it wants varied."""
    profile.values["augmentation"] = asdict(Augmentation.none())
    put(profile.values, "optimization.averaging", 0.0)


def flattened(document: Any, prefix: str = "") -> dict[str, Any]:
    """Nested tables as dotted keys; lists and plain values are leaves.

    >>> flattened({"a": {"b": 1, "c": None}})
    {'a.b': 1, 'a.c': None}
    """
    if not isinstance(document, dict):
        return {prefix: document}
    found: dict[str, Any] = {}
    for key, value in document.items():
        found |= flattened(value, f"{prefix}.{key}" if prefix else str(key))
    return found


def put(values: dict[str, dict[str, Any]], dotted: str, value: Any) -> None:
    """Set ``group.key`` in nested tables."""
    group, key = dotted.split(".")
    values.setdefault(group, {})[key] = value


def _take(flat: dict[str, Any], key: str, profile: Profile, target: str, convert: Convert, used: set[str]) -> None:
    if flat.get(key) is not None:
        put(profile.values, target, convert(flat[key]))
        used.add(key)


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) < 40 else text[:37] + "..."


def _parsed(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix.lower() in (".yaml", ".yml"):
            import yaml

            document = yaml.safe_load(text)
        else:
            document = json.loads(text)
    except OSError as error:
        raise FormatError(f"cannot be opened ({error.strerror})", place=path, fix="correct the path") from None
    except Exception as error:
        said = " ".join(str(error).split())[:120]
        raise FormatError(f"not a readable profile ({said})", place=path, fix="export it from SLEAP again") from None
    if not isinstance(document, dict):
        raise FormatError("not a SLEAP training profile", place=path, fix="give SLEAP's .json or sleap-nn's .yaml")
    return document

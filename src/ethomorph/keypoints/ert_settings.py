"""What a person may set about regression trees, and the presets by the names of the tools whose values they are."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Self

from ethomorph.core.errors import StudyError

STARTS = 4
"""Fewest start shapes per box: with one, trees only ever see the mean shape (on fly wings errors were 20 % higher)."""


@dataclass(frozen=True)
class ErtSettings:
    """Options of dlib's shape predictor by dlib's names, then ours.

    Parameters
    ----------
    cascade_depth : levels; each looks at the picture again from where the last one left the landmarks.
    tree_depth : comparisons from root to leaf; a tree has ``2 ** tree_depth`` leaves.
    num_trees_per_cascade_level : trees whose steps add up in one level.
    nu : share of each tree's step that is taken, in (0, 1]; smaller learns slower and overfits less.
    oversampling_amount : start shapes per training specimen, drawn from the other specimens' shapes.
    oversampling_translation_jitter : shift of those start shapes, as a share of the box.
    feature_pool_size : pixels that the trees of one level may compare.
    feature_pool_region_padding : how far beyond the landmarks these pixels may lie, as a share of the box.
    lambda_param : how close to each other the two compared pixels are; smaller is closer.
    num_test_splits : comparisons tried at every node.
    landmark_relative_padding_mode : pixels are drawn around the landmarks (true) or around the whole box.
    box_jitter : specimens are shown to the trees in boxes whose edges are moved by this share of the box (standard
        deviation), because found boxes are never as good as drawn ones. 0 trains in the drawn boxes only, as plain dlib
        does; it then scores better in drawn boxes, which new pictures do not have, and worse in found ones.
    box_copies : how many such boxes per specimen at most; they share the oversampling, four or more starts for each.
    views : slightly shifted and resized boxes in which each specimen is fitted; the median is the answer, and how far
        the views disagree is its spread. 1 is plain dlib, without a spread.
    view_jitter : size of those shifts, as a share of the box.
    refits : how often the box is drawn anew around the fitted landmarks and fitted again.
    max_side_px : larger pictures are shrunk to this longer side before training and prediction; 0 never shrinks.
    threads : threads for training; 0 takes the processor's.

    Examples
    --------
    >>> ErtSettings.preset("readme").oversampling_amount
    200
    >>> ErtSettings(nu=2)
    Traceback (most recent call last):
    ...
    ethomorph.core.errors.StudyError: settings.nu: 2; give a number above 0 and at most 1
    """

    cascade_depth: int = 15
    tree_depth: int = 4
    num_trees_per_cascade_level: int = 500
    nu: float = 0.1
    oversampling_amount: int = 10
    oversampling_translation_jitter: float = 0.0
    feature_pool_size: int = 500
    feature_pool_region_padding: float = 0.0
    lambda_param: float = 0.1
    num_test_splits: int = 20
    landmark_relative_padding_mode: bool = True
    box_jitter: float = 0.02
    box_copies: int = 5
    views: int = 5
    view_jitter: float = 0.01
    refits: int = 1
    max_side_px: int = 1200
    threads: int = 0

    def __post_init__(self) -> None:
        refuse_out_of_range(self)

    @classmethod
    def preset(cls, name: str, **changes: Any) -> Self:
        """The named preset of `PRESETS`, with single values changed; raises StudyError for an unknown name."""
        if name not in PRESETS:
            raise StudyError(f"{name!r} is no preset", place="settings.preset", fix=f"choose {', '.join(PRESETS)}")
        return cls.from_dict(PRESETS[name] | changes)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Settings from a table that may name a ``preset`` beside single values; raises StudyError for unknown keys."""
        values = dict(values)
        if "preset" in values:
            return cls.preset(str(values.pop("preset")), **values)
        known = {field.name: field.type for field in fields(cls)}
        unknown = sorted(set(values) - set(known))
        if unknown:
            raise StudyError(f"unknown: {', '.join(unknown)}", place="settings", fix=f"the keys are {', '.join(known)}")
        for name, value in values.items():
            refuse_wrong_type(name, value, str(known[name]))
        return replace(cls(), **values)

    def to_dict(self) -> dict[str, Any]:
        """Every setting by name."""
        return asdict(self)

    @property
    def boxes_per_specimen(self) -> int:
        """Boxes each training specimen is shown in; more than one only where each keeps `STARTS` start shapes."""
        return max(1, min(self.box_copies, self.oversampling_amount // STARTS)) if self.box_jitter else 1

    def dlib_options(self) -> dict[str, Any]:
        """What dlib's trainer is told: the oversampling is divided among the boxes of a specimen."""
        options = {name: getattr(self, name) for name in DLIB_OPTIONS}
        options["oversampling_amount"] = max(1, round(self.oversampling_amount / self.boxes_per_specimen))
        return options


DLIB_OPTIONS = [field.name for field in fields(ErtSettings)][:11]

PRESETS: dict[str, dict[str, Any]] = {
    "dlib": {"cascade_depth": 10, "feature_pool_size": 400, "oversampling_amount": 20},
    "ml-morph": {},
    "readme": {
        "cascade_depth": 20, "tree_depth": 3, "nu": 0.08, "feature_pool_size": 700, "oversampling_amount": 200,
    },
    "lizardmorph": {"feature_pool_size": 400, "oversampling_amount": 5},
}
"""Differences from the defaults, which are ml-morph's; "readme" is the example in ml-morph's manual."""

_LIMITS: dict[str, tuple[float, float]] = {
    "cascade_depth": (1, 1000), "tree_depth": (1, 12), "num_trees_per_cascade_level": (1, 100_000),
    "oversampling_amount": (1, 100_000), "oversampling_translation_jitter": (0, 1), "feature_pool_size": (2, 100_000),
    "feature_pool_region_padding": (-0.49, 10), "lambda_param": (1e-6, 1e6), "num_test_splits": (1, 100_000),
    "box_jitter": (0, 0.5), "box_copies": (1, 1000), "views": (1, 100), "view_jitter": (0, 0.5), "refits": (0, 10),
    "max_side_px": (0, 100_000), "threads": (0, 1024),
}


def refuse_out_of_range(settings: ErtSettings) -> None:
    """Raise StudyError naming the first setting that dlib would not take, or that would make no sense."""
    if not 0 < settings.nu <= 1:
        raise StudyError(f"{settings.nu}", place="settings.nu", fix="give a number above 0 and at most 1")
    for name, (low, high) in _LIMITS.items():
        value = getattr(settings, name)
        if not low <= value <= high:
            raise StudyError(f"{value}", place=f"settings.{name}", fix=f"give a number from {low:g} to {high:g}")


def refuse_wrong_type(name: str, value: Any, kind: str) -> None:
    """Raise StudyError where a value from a file is not of the setting's type."""
    fits = {
        "int": isinstance(value, int) and not isinstance(value, bool),
        "float": isinstance(value, int | float) and not isinstance(value, bool),
        "bool": isinstance(value, bool),
    }[kind]
    if not fits:
        what = {"int": "a whole number", "float": "a number", "bool": "true or false"}[kind]
        raise StudyError(f"{value!r}", place=f"settings.{name}", fix=f"give {what}")

"""What is done to a picture's grey values before a model or a person looks at it, as a record that can be repeated.

Everything runs in float32 between 0 and 1, so a 16-bit radiograph keeps its depth. Not for augmentation: nothing here
is random.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

import numpy as np

from ethomorph.core.errors import StudyError

Denoise = Literal["none", "gaussian", "median", "bilateral"]
_SMOOTH = np.array([[1, 1, 1], [1, 5, 1], [1, 1, 1]], np.float32) / 13


@dataclass(frozen=True)
class Enhancement:
    """Grey-value treatment, applied in the order of the fields; the defaults change nothing.

    Attributes
    ----------
    window : (low, high) percentiles that become black and white, or None.
    invert : swap black and white.
    sharpness : 1 leaves, 0 smooths, above 1 sharpens: ``s + sharpness * (v - s)``, s the 3 x 3 smoothed picture
        (Pillow's definition).
    contrast : ``m + contrast * (v - m)``, m the picture's mean (Pillow's definition).
    denoise : "none", "gaussian", "median" or "bilateral".
    denoise_px : odd width of the filter in px; a Gaussian of that width has sigma 0.3 (width/2 - 1.5) + 0.8 px, as
        OpenCV chooses it.
    denoise_range : for "bilateral": the grey-value difference (0..1) that counts as an edge.
    clahe : clip limit of the adaptive histogram equalisation, 0 for none.
    clahe_tiles : (down, across).
    gamma : ``v ** (1 / gamma)``: above 1 brightens.

    Examples
    --------
    >>> round(float(Enhancement(gamma=2.0).apply(np.full((4, 4), 0.25, np.float32))[0, 0]), 6)
    0.5
    """

    window: tuple[float, float] | None = None
    invert: bool = False
    sharpness: float = 1.0
    contrast: float = 1.0
    denoise: Denoise = "none"
    denoise_px: int = 3
    denoise_range: float = 0.1
    clahe: float = 0.0
    clahe_tiles: tuple[int, int] = (8, 8)
    gamma: float = 1.0

    def __post_init__(self) -> None:
        if self.window is not None:
            object.__setattr__(self, "window", tuple(float(v) for v in self.window))
        object.__setattr__(self, "clahe_tiles", tuple(int(v) for v in self.clahe_tiles))
        refuse_nonsense(self)

    @classmethod
    def of(cls, given: Enhancement | Mapping[str, Any] | str | None) -> Enhancement:
        """An enhancement from itself, its settings, a preset's name, or None for none; raises StudyError."""
        if given is None:
            return cls()
        if isinstance(given, Enhancement):
            return given
        if isinstance(given, str):
            if given not in PRESETS:
                raise StudyError(f"no enhancement is called {given!r}", fix=f"choose one of {', '.join(PRESETS)}")
            return PRESETS[given]
        known = {f.name for f in fields(cls)}
        settings = dict(given)
        preset = cls.of(settings.pop("preset", None))
        unknown = sorted(set(settings) - known)
        if unknown:
            raise StudyError(
                f"enhancement has no setting {', '.join(unknown)}", fix=f"it has {', '.join(sorted(known))}"
            )
        try:
            return cls(**{f.name: getattr(preset, f.name) for f in fields(cls)} | settings)
        except (TypeError, ValueError) as error:
            if isinstance(error, StudyError):
                raise
            raise StudyError(f"enhancement: {error}", fix="give numbers") from None

    def to_dict(self) -> dict[str, Any]:
        """Every parameter, plain enough for TOML and JSON; `window` is left out where there is none."""
        settings = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}
        return {k: v for k, v in settings.items() if v is not None}

    @property
    def pointwise(self) -> bool:
        """Whether equal pixels stay equal and their order is kept (or, with `invert`, reversed)."""
        return self.sharpness == 1 and self.denoise == "none" and self.clahe == 0 and self.contrast >= 0

    def apply(self, grey: np.ndarray) -> np.ndarray:
        """Enhance a grey picture (y, x) in 0..1; returns a new float32 (y, x) in 0..1."""
        picture = np.array(grey, dtype=np.float32, order="C")
        if picture.ndim != 2:
            raise StudyError(
                f"enhancement needs a grey picture, this has shape {picture.shape}", fix="use formats.images.grey"
            )
        if self.window:
            picture = _windowed(picture, *self.window)
        if self.invert:
            picture = 1 - picture
        if self.sharpness != 1:
            picture = _sharpened(picture, self.sharpness)
        if self.contrast != 1:
            mean = picture.mean(dtype=np.float64).astype(np.float32)
            picture = np.clip(mean + np.float32(self.contrast) * (picture - mean), 0, 1)
        picture = _denoised(picture, self.denoise, self.denoise_px, self.denoise_range)
        if self.clahe:
            from ethomorph.keypoints.clahe import equalise

            picture = equalise(np.clip(picture, 0, 1), clip_limit=self.clahe, tiles=self.clahe_tiles)
        if self.gamma != 1:
            picture = np.clip(picture, 0, 1) ** np.float32(1 / self.gamma)
        return np.clip(picture, 0, 1)


def refuse_nonsense(enhancement: Enhancement) -> None:
    """Raise StudyError for a parameter outside its range."""
    e = enhancement
    window = e.window is None or (len(e.window) == 2 and 0 <= e.window[0] < e.window[1] <= 100)
    for fine, name, fix in (
        (window, "window", "give two rising percentiles from 0 to 100"),
        (0 <= e.sharpness <= 100, "sharpness", "give 0 to 100; 1 leaves the picture as it is"),
        (0 <= e.contrast <= 100, "contrast", "give 0 to 100; 1 leaves the picture as it is"),
        (
            e.denoise in ("none", "gaussian", "median", "bilateral"),
            "denoise",
            "choose none, gaussian, median or bilateral",
        ),
        (e.denoise_px % 2 == 1 and 1 <= e.denoise_px <= 99, "denoise_px", "give an odd number of pixels below 100"),
        (e.denoise != "median" or e.denoise_px in (3, 5), "denoise_px", "the median filter takes 3 or 5 px"),
        (0 < e.denoise_range <= 1, "denoise_range", "give a grey-value difference from 0 to 1"),
        (0 <= e.clahe <= 1000, "clahe", "give a clip limit from 0 (off) to 1000"),
        (
            len(e.clahe_tiles) == 2 and all(1 <= t <= 64 for t in e.clahe_tiles),
            "clahe_tiles",
            "give two counts from 1 to 64",
        ),
        (0.01 <= e.gamma <= 100, "gamma", "give 0.01 to 100; 1 leaves the picture as it is"),
    ):
        if not fine:
            raise StudyError(f"enhancement: {name} is {getattr(e, name)!r}", fix=fix)


def _windowed(picture: np.ndarray, low: float, high: float) -> np.ndarray:
    black, white = np.percentile(picture, [low, high])
    if white <= black:  # more than the window's share of the picture is one value: nothing to stretch
        return picture
    return np.clip((picture - np.float32(black)) / np.float32(white - black), 0, 1)


def _sharpened(picture: np.ndarray, amount: float) -> np.ndarray:
    import cv2

    smooth = cv2.filter2D(picture, -1, _SMOOTH, borderType=cv2.BORDER_REFLECT_101)
    return np.clip(smooth + np.float32(amount) * (picture - smooth), 0, 1)


def _denoised(picture: np.ndarray, how: Denoise, width: int, edge: float) -> np.ndarray:
    import cv2

    if how == "gaussian":
        return cv2.GaussianBlur(picture, (width, width), 0)
    if how == "median":
        return cv2.medianBlur(picture, width)
    if how == "bilateral":
        return cv2.bilateralFilter(picture, width, edge, width / 2)
    return picture


PRESETS: dict[str, Enhancement] = {
    "none": Enhancement(),
    "lizardmorph": Enhancement(sharpness=4.0, contrast=1.3, denoise="gaussian", denoise_px=3, clahe=2.0),
    "radiograph": Enhancement(window=(0.5, 99.5), clahe=2.0),
}
"""Named enhancements. "lizardmorph" is that program's chain, without its rounding to 8 bits between the steps."""

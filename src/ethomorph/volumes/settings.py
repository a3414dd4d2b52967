"""What a person may set about a volume segmenter; what is left out follows from the data, see `plan`."""

from __future__ import annotations

import difflib
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from ethomorph.core.errors import InputError


@dataclass(frozen=True)
class SegmenterSettings:
    """Settings of ``unet3d`` in ``[task.NAME.settings]``.

    Parameters
    ----------
    spacing_mm : (x, y, z) of the voxels that the network sees; the training part's median where left out.
    patch_voxels : voxels of a patch at most; 0 chooses 48^3 on a CPU (80^3 after a stem) and 112^3 on a GPU.
    memory_gb : of feature maps in training; patches shrink until they fit.
    channels : features of the finest level, doubled from level to level up to 320; 0 chooses 8 on a CPU, 32 on a GPU,
        and twice as many after a stem.
    stem : voxels along each axis that are folded into features before the finest level; 0 chooses 2 on a CPU where
        things are wide enough for it, and 1 elsewhere.
    batch_size : patches in a step.
    steps : optimizer steps; 0 takes as many as `max_minutes` allow, or 4000 where no time is set.
    learning_rate : at its highest; it falls along a cosine.
    weight_decay : of the convolutions.
    averaging : decay of the moving average of the weights, which predicts.
    foreground : share of patches that are centred on a voxel of a class drawn at random.
    turned : share of patches that are turned and zoomed; the others keep their voxels, mirrored perhaps.
    rotate_deg, zoom : how far patches are turned about each axis, and by which factor their size varies.
    mirror : "auto" mirrors left and right unless a class is of one side; "on" mirrors along every axis; "off".
    noise, blur_mm, gamma, contrast : largest augmentation of intensities; noise and contrast in units of the spread.
    overlap : of patches in prediction, as a share of their size; 0.25 is three times as fast and less exact.
    mirrored : predict every patch mirrored too, along the axes that training mirrors, and take the mean; slower.
    """

    spacing_mm: tuple[float, float, float] | None = None
    patch_voxels: int = 0
    memory_gb: float = 4.0
    channels: int = 0
    stem: int = 0
    batch_size: int = 2
    steps: int = 0
    learning_rate: float = 1e-2
    weight_decay: float = 1e-2
    averaging: float = 0.995
    foreground: float = 0.67
    turned: float = 0.4
    rotate_deg: float = 20.0
    zoom: float = 1.25
    mirror: str = "auto"
    noise: float = 0.15
    blur_mm: float = 0.2
    gamma: float = 1.3
    contrast: float = 0.2
    overlap: float = 0.5
    mirrored: bool = False
    workers: int = 0

    def __post_init__(self) -> None:
        if self.mirror not in ("auto", "on", "off"):
            raise InputError(repr(self.mirror), place="settings.mirror", fix="use auto, on or off")
        limits = {"steps": (0, 10**7), "batch_size": (1, 512), "channels": (0, 512), "stem": (0, 4),
                  "overlap": (0, 0.75), "foreground": (0, 1), "turned": (0, 1), "zoom": (1, 3),
                  "memory_gb": (0.05, 1000), "rotate_deg": (0, 180), "learning_rate": (1e-7, 1),
                  "averaging": (0, 0.99999), "gamma": (1, 5)}  # fmt: skip
        for name, (low, high) in limits.items():
            if not low <= getattr(self, name) <= high:
                raise InputError(str(getattr(self, name)), place=f"settings.{name}", fix=f"give {low} to {high}")
        if self.patch_voxels and self.patch_voxels < 16**3:
            raise InputError(str(self.patch_voxels), place="settings.patch_voxels", fix=f"give at least {16**3}")

    @classmethod
    def from_dict(cls, table: dict[str, Any]) -> Self:
        """From study.toml; raises InputError for a key that is not known."""
        known = [f.name for f in fields(cls)]
        for key in table:
            if key not in known:
                close = difflib.get_close_matches(key, known, n=1)
                fix = f"did you mean {close[0]!r}?" if close else f"known keys: {', '.join(known)}"
                raise InputError("unknown key", place=f"settings.{key}", fix=fix)
        spacing = table.get("spacing_mm")
        if spacing is not None:
            numbers = [spacing] * 3 if isinstance(spacing, (int, float)) else list(spacing)
            if len(numbers) != 3 or not all(isinstance(n, (int, float)) and n > 0 for n in numbers):
                raise InputError(str(spacing), place="settings.spacing_mm", fix="give [x, y, z] in mm")
            table = table | {"spacing_mm": tuple(float(n) for n in numbers)}
        try:
            return cls(**table)
        except TypeError as error:
            raise InputError(str(error), place="settings", fix="numbers are meant") from None

    def to_dict(self) -> dict[str, Any]:
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items() if v is not None}

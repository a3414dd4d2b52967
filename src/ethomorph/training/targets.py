"""Continuous targets on the scale a network starts from: mean 0 and spread 1, fitted on the training part, inverted on
output. A network whose targets are a thousandth or a thousandfold of that learns badly, long before any unit dies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from ethomorph.core.errors import InputError


@dataclass(frozen=True)
class TargetScaler:
    """A shift and a scale a column, ``z = (y - mean) / std``.

    Attributes
    ----------
    mean, std : (columns,) in the targets' unit. A column without spread has std 1.

    Examples
    --------
    >>> import numpy as np
    >>> grams = np.array([[10.0, 0.001], [30.0, 0.003]])
    >>> scaler = TargetScaler.fit(grams)
    >>> scaler.transform(grams)
    array([[-1., -1.],
           [ 1.,  1.]])
    >>> bool(np.allclose(scaler.inverse(scaler.transform(grams)), grams))
    True
    """

    mean: np.ndarray
    std: np.ndarray

    @classmethod
    def fit(cls, targets: Any) -> Self:
        """The scaler of training targets (samples,) or (samples, columns); NaN is left out.

        Raises
        ------
        InputError : no targets, infinite ones, or a column without any value.
        """
        columns = as_columns(targets)
        refuse_unusable(columns)
        mean, std = np.nanmean(columns, axis=0), np.nanstd(columns, axis=0)
        return cls(mean, np.where(std > 1e-12 * np.maximum(1e-300, np.abs(mean)), std, 1.0))

    def transform(self, targets: Any) -> Any:
        """Targets in the network's unit; an array or a tensor, as it came."""
        mean, std = self._like(targets)
        return (targets - mean) / std

    def inverse(self, values: Any) -> Any:
        """Predictions in the targets' unit."""
        mean, std = self._like(values)
        return values * std + mean

    def inverse_spread(self, spread: Any) -> Any:
        """Predicted standard deviations in the targets' unit: scaled, not shifted."""
        _, std = self._like(spread)
        return spread * std

    def to_dict(self) -> dict[str, list[float]]:
        """Plain lists, for model.toml."""
        return {"mean": self.mean.tolist(), "std": self.std.tolist()}

    @classmethod
    def from_dict(cls, block: dict[str, list[float]]) -> Self:
        return cls(np.asarray(block["mean"], dtype=float), np.asarray(block["std"], dtype=float))

    def _like(self, values: Any) -> tuple[Any, Any]:
        one_column = np.ndim(values) == 1 and len(self.mean) == 1
        mean, std = (self.mean[0], self.std[0]) if one_column else (self.mean, self.std)
        if type(values).__module__.startswith("torch"):
            import torch

            return tuple(torch.as_tensor(one, dtype=values.dtype, device=values.device) for one in (mean, std))  # type: ignore[return-value]
        return mean, std


def as_columns(targets: Any) -> np.ndarray:
    """Targets as float64 (samples, columns)."""
    array = np.asarray(targets, dtype=float)
    return array.reshape(len(array), -1) if array.size else array.reshape(0, 1)


def refuse_unusable(columns: np.ndarray) -> None:
    """Raise InputError for targets that have no scale."""
    if not columns.size:
        raise InputError("no targets", place="targets", fix="give at least one training sample")
    if np.isinf(columns).any():
        raise InputError("infinite values", place="targets", fix="correct them, or leave them out as NaN")
    empty = np.flatnonzero(np.isnan(columns).all(axis=0))
    if len(empty):
        raise InputError(f"column {empty[0] + 1} has no value", place="targets", fix="leave the column out")

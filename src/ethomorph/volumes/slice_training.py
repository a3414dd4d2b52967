"""Random crops of slices, and the module that trains Mask2Former on them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from torch import Tensor

from ethomorph.volumes.classes import IGNORED, ClassMap
from ethomorph.volumes.patches import Prepared
from ethomorph.volumes.slice_codec import encode_slice, enlarged, pixels_of

STEPS_AN_EPOCH = 25
SLICES_A_VOLUME = 6
MOST_MASKS = 64
"""Masks of a crop that a batch has room for."""


class Slices(torch.utils.data.Dataset):
    """Square crops of slices across one axis, most of them through a voxel of a class drawn at random.

    Parameters
    ----------
    axis : of the array, 0 to 2.
    calm : the same crops in every epoch, unchanged.
    """

    def __init__(
        self, volumes: Sequence[Prepared], classes: ClassMap, axis: int, crop: int, *, count: int, seed: int,
        calm: bool = False,
    ) -> None:  # fmt: skip
        self.volumes, self.classes, self.axis, self.crop = volumes, classes, axis, crop
        self.count, self.seed, self.epoch, self.calm = count, seed, 0, calm

    def set_epoch(self, epoch: int) -> None:
        self.epoch = 0 if self.calm else epoch

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        rng = np.random.default_rng([self.seed, self.epoch, int(self.calm), index])
        volume = self.volumes[index % len(self.volumes)]
        numbers = list(volume.places)
        places = volume.places[numbers[int(rng.integers(len(numbers)))]]
        centre = places[int(rng.integers(len(places)))].astype(int)
        image, classes, instances = (
            crop_of(volume.arrays[name], centre, self.axis, self.crop, fill)
            for name, fill in (("image", -1.0), ("classes", 0), ("instances", 0))
        )
        if not self.calm:
            image = image.astype(np.float32) + rng.normal(0, 0.05) + rng.normal(0, 0.05, image.shape)
            for side in range(2):
                if not self.classes.sided and rng.random() < 0.5:
                    image, classes, instances = (np.flip(a, side) for a in (image, classes, instances))
        target = encode_slice(np.where(classes == IGNORED, 0, classes), instances, self.classes)
        room = np.zeros((MOST_MASKS, self.crop, self.crop), np.uint8)
        kinds = np.full(MOST_MASKS, -1, np.int64)
        number = min(MOST_MASKS, len(target.classes))
        room[:number], kinds[:number] = target.masks[:number], target.classes[:number]
        return {
            "pixels": torch.from_numpy(pixels_of(image)),
            "masks": torch.from_numpy(room),
            "kinds": torch.from_numpy(kinds),
        }


def crop_of(array: np.ndarray, centre: np.ndarray, axis: int, side: int, fill: float) -> np.ndarray:
    """(side, side) of the slice through `centre`, filled where the volume ends."""
    plane = np.take(array, int(centre[axis]), axis=axis)
    rest = [int(centre[a]) for a in range(3) if a != axis]
    out = np.full((side, side), fill, array.dtype)
    spans = []
    for middle, length in zip(rest, plane.shape, strict=True):
        start = min(max(0, middle - side // 2), max(0, length - side))
        spans.append(slice(start, min(length, start + side)))
    found = np.asarray(plane[spans[0], spans[1]])
    out[: found.shape[0], : found.shape[1]] = found
    return out


class SlicesModule(pl.LightningModule):
    """Mask2Former with its own losses."""

    def __init__(self, network: Any, settings: Any) -> None:
        super().__init__()
        self.network, self.settings = network, settings

    def inputs_of(self, batch: dict[str, Tensor]) -> Tensor:
        return batch["pixels"]

    def loss(self, batch: dict[str, Tensor]) -> Tensor:
        masks, kinds = [], []
        for room, all_kinds in zip(batch["masks"], batch["kinds"], strict=True):
            real = all_kinds >= 0
            masks.append(room[real].float())
            kinds.append(all_kinds[real])
        pixels = enlarged(batch["pixels"], self.settings.magnify)
        return self.network(pixel_values=pixels, mask_labels=masks, class_labels=kinds).loss.squeeze()

    def training_step(self, batch: dict[str, Tensor], index: int) -> Tensor:
        return self.loss(batch)

    def validation_step(self, batch: dict[str, Tensor], index: int) -> Tensor:
        return self.loss(batch)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.network.parameters(), lr=self.settings.learning_rate, weight_decay=0.05)

"""Streaming gives what the whole volume at once would give, skips air, and stays within the memory that it predicts."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from ethomorph.core.errors import InputError
from ethomorph.core.grid import Grid
from ethomorph.core.volume import ScalarVolume
from ethomorph.volumes.classes import ClassMap
from ethomorph.volumes.plan import Fingerprint, make_plan
from ethomorph.volumes.settings import SegmenterSettings
from ethomorph.volumes.store import Store
from ethomorph.volumes.stream import coverage, predicted_bytes, ramp, refuse_too_large, steps_of, stream, tile_outputs

CLASSES = ClassMap.of({"jaw": "jaw", "tooth": {"match": "t*", "instances": True}})


class Pointwise(torch.nn.Module):
    """Outputs of each voxel follow from its own value alone, so that tiling must not matter."""

    def forward(self, x):
        v = x[:, 0]
        return torch.stack([-3 * v, v, 2 * v - 1, v, -v], dim=1)


def a_plan(patch=(8, 8, 8)):
    plan = make_plan(
        [Fingerprint((20, 20, 20), (1, 1, 1), 0.0, 100.0)], CLASSES, SegmenterSettings(), gpu=False, steps=1
    )
    return replace(plan, patch=patch, normalization="shared", low=0.0, scale=100.0, spacing=(1.0, 1.0, 1.0))


def a_volume(shape=(23, 17, 30), dtype=np.uint16) -> ScalarVolume:
    array = np.random.default_rng(0).integers(60, 200, shape).astype(dtype)
    return ScalarVolume(array, Grid(shape, (1, 1, 1)))


def test_a_pointwise_network_gives_the_same_in_tiles_as_at_once():
    image, plan = a_volume(), a_plan()
    out = stream(image, Pointwise(), plan, classes=3, things=[2])
    whole = tile_outputs(Pointwise(), plan.normalized(image.array, 0, 100), 3, True, "cpu")
    background = 1 - whole[:2].sum(axis=0)
    expected = np.where(whole[:2].max(axis=0) > background, whole[:2].argmax(axis=0) + 1, 0)
    assert np.array_equal(out.classes.whole(), expected)
    for store, shares in ((out.thing, whole[1]), (out.distance, whole[2]), (out.border, whole[3])):
        assert np.abs(store.whole() / 255 - shares).max() < 0.003


def test_overlapping_tiles_are_averaged_by_their_weights():
    """Against the sum written out tile by tile, for a network that sees its neighbours."""
    torch.manual_seed(0)
    network = torch.nn.Conv3d(1, 5, 3, padding=1)
    image, plan = a_volume((20, 18, 24)), replace(a_plan((12, 12, 12)), overlap=0.5)
    out = stream(image, network, plan, classes=3, things=[2])
    pixels = plan.normalized(image.array, 0, 100)
    weights = np.einsum("i,j,k->ijk", *[ramp(12)] * 3)
    sums, total = np.zeros((4, *pixels.shape)), np.zeros(pixels.shape)
    for z in steps_of(20, 12, 0.5):
        for y in steps_of(18, 12, 0.5):
            for x in steps_of(24, 12, 0.5):
                box = (slice(z, z + 12), slice(y, y + 12), slice(x, x + 12))
                sums[(slice(None), *box)] += tile_outputs(network, pixels[box], 3, True, "cpu") * weights
                total[box] += weights
    shares = sums / total
    assert np.abs(out.thing.whole() / 255 - shares[1]).max() < 0.003
    assert np.abs(out.border.whole() / 255 - shares[3]).max() < 0.003


def test_a_mirrored_prediction_of_a_mirrored_volume_is_mirrored():
    """Averaged over both views, a network that knows left from right no longer does."""
    torch.manual_seed(0)
    network = torch.nn.Conv3d(1, 5, 3, padding=1)
    image = a_volume((12, 12, 12))
    turned = replace(image, array=np.ascontiguousarray(image.array[:, :, ::-1]))
    for mirrored in (False, True):
        plan = replace(a_plan((12, 12, 12)), mirrored=mirrored, mirror_axes=[2])
        one, two = (stream(v, network, plan, classes=3, things=[2]).thing.whole() for v in (image, turned))
        assert np.array_equal(one, two[:, :, ::-1]) == mirrored


def test_patches_larger_than_the_volume():
    image, plan = a_volume((5, 6, 7)), a_plan((8, 8, 8))
    out = stream(image, Pointwise(), plan, classes=3, things=[2])
    assert out.classes.shape == (5, 6, 7) and out.tiles == 1


def test_air_is_skipped_and_is_background():
    array = np.zeros((16, 16, 64), np.uint16)
    array[:, :, :16] = 150
    out = stream(ScalarVolume(array, Grid(array.shape, (1, 1, 1))), Pointwise(), a_plan(), classes=3, things=[2])
    assert 0.5 < out.skipped / out.tiles < 1
    assert (out.classes.whole()[:, :, 24:] == 0).all() and (out.classes.whole()[:, :, :14] == 2).all()


def test_other_spacings_are_resampled_slab_by_slab():
    fine = a_volume((24, 20, 28))
    smooth = ScalarVolume(np.full((24, 20, 28), 150, np.uint16), Grid((24, 20, 28), (0.5, 0.5, 0.5)))
    out = stream(smooth, Pointwise(), a_plan(), classes=3, things=[2])
    assert out.grid.shape == (12, 10, 14) and (out.classes.whole() == 2).mean() > 0.6
    assert out.grid.is_same(smooth.grid.resized((1, 1, 1))) and fine.grid.shape == (24, 20, 28)


def test_files_are_used_for_what_is_large(tmp_path, monkeypatch):
    monkeypatch.setattr("ethomorph.volumes.store.IN_MEMORY", 100)
    image, plan = a_volume(), a_plan()
    out = stream(image, Pointwise(), plan, classes=3, things=[2], scratch=tmp_path)
    assert out.classes.array is None and len(list(tmp_path.iterdir())) == 4
    kept = stream(image, Pointwise(), plan, classes=3, things=[2])
    assert np.array_equal(out.classes.whole(), kept.classes.whole())


def test_a_store_on_disk_reads_and_writes_like_an_array(tmp_path, monkeypatch):
    monkeypatch.setattr("ethomorph.volumes.store.IN_MEMORY", 1)
    store = Store((4, 5, 6), np.uint16, tmp_path)
    array = np.zeros((4, 5, 6), np.uint16)
    store.write_planes(1, np.full((2, 5, 6), 7))
    array[1:3] = 7
    box = (slice(0, 2), slice(1, 4), slice(2, 6))
    store.write(box, np.full((2, 3, 4), 9))
    array[box] = 9
    assert np.array_equal(store.whole(), array) and np.array_equal(store.read(box), array[box])


def test_windows_cover_every_voxel():
    for size in (1, 7, 48, 49, 100, 700):
        starts = steps_of(size, 48, 0.25)
        assert starts[0] == 0 and starts[-1] == max(0, size - 48)
        assert max(np.diff(starts), default=0) <= 36
        assert coverage(max(size, 48), starts, ramp(48))[:size].min() > 0


def test_what_cannot_fit_is_refused_with_advice():
    need = predicted_bytes((1616, 534, 701), a_plan((64, 64, 64)), classes=4, things=True)
    assert 1.0 < need / 2**30 < 2.0
    with pytest.raises(InputError, match="downsample 2"):
        refuse_too_large(need, (1616, 534, 701), limit=2**29)
    with pytest.raises(InputError, match="longest axis comes first"):
        refuse_too_large(need, (534, 1616, 701), limit=2**29)
    refuse_too_large(need, (1616, 534, 701), limit=2**31)

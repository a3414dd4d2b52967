"""The plan follows from the data by rules that can be checked by hand."""

from dataclasses import replace

import numpy as np
import pytest

from ethomorph.core.errors import FormatError, InputError
from ethomorph.core.grid import Grid
from ethomorph.core.volume import ScalarVolume
from ethomorph.volumes.classes import ClassMap
from ethomorph.volumes.networks import UNet3d, activation_bytes
from ethomorph.volumes.plan import Fingerprint, Plan, fingerprint, intensity_range, make_plan, three_kinds
from ethomorph.volumes.settings import SegmenterSettings

CLASSES = ClassMap.of({"jaw": "jaw"})


def plan_of(found, classes=CLASSES, gpu=False, **settings) -> Plan:
    return make_plan(found, classes, SegmenterSettings(**settings), gpu=gpu, steps=10)


def seen(shape=(100, 120, 140), spacing=(0.1, 0.1, 0.1), low=0.0, scale=1.0, left_right=2) -> Fingerprint:
    return Fingerprint(shape, spacing, low, scale, left_right=left_right)


def test_isotropic_volumes_get_cubes_and_their_median_spacing():
    plan = plan_of([seen(), seen(spacing=(0.2, 0.2, 0.2)), seen(spacing=(0.1, 0.1, 0.1))])
    assert plan.spacing == (0.1, 0.1, 0.1)
    assert plan.patch == (80, 80, 80) and plan.stem == (2, 2, 2) and plan.pools == [(2, 2, 2)] * 3
    assert plan.channels == [16, 32, 64, 128]
    plan = plan_of([seen()], stem=1)
    assert plan.patch == (48, 48, 48) and plan.pools == [(2, 2, 2)] * 3 and plan.channels == [8, 16, 32, 64]
    assert plan_of([seen((200, 200, 200))], gpu=True, memory_gb=24).patch == (112, 112, 112)


def test_thick_slices_are_not_pooled_until_the_others_are_as_coarse():
    plan = plan_of([seen(shape=(20, 200, 200), spacing=(0.1, 0.1, 0.8))])
    assert plan.kernels[0] == (1, 3, 3) and plan.stem == (1, 2, 2) and plan.pools[0] == (1, 2, 2)
    assert plan.kernels[-1] == (3, 3, 3)
    steps = [plan.stem, *plan.pools]
    assert all(p % int(np.prod([q[a] for q in steps])) == 0 for a, p in enumerate(plan.patch))


def test_voxels_are_folded_on_a_cpu_where_things_are_wide_enough():
    def stem(instance_mm3, **more):
        one = replace(seen(), instances=1, instance_mm3=instance_mm3)
        return plan_of([one], **more).stem

    assert stem(0.1) == (2, 2, 2)  # a ball of 5.8 voxels
    assert stem(0.05) == (1, 1, 1)  # of 4.6
    assert stem(0.1, gpu=True) == (1, 1, 1) and stem(0.05, stem=2) == (2, 2, 2)


def test_small_volumes_get_small_patches_and_memory_bounds_the_rest():
    assert plan_of([seen(shape=(16, 40, 200))]).patch[0] == 16
    small = plan_of([seen()], memory_gb=0.05)
    assert np.prod(small.patch) < 48**3 and small.memory_mb <= 0.05 * 1024 * 1.2


def test_one_scale_for_volumes_that_share_it():
    assert plan_of([seen(low=-1000, scale=1500), seen(low=-1010, scale=1490)]).normalization == "shared"
    assert plan_of([seen(scale=1.0), seen(scale=2.0)]).normalization == "image"


def test_mirroring_is_from_left_to_right_and_off_where_classes_have_sides():
    assert plan_of([seen()]).mirror_axes == [2]
    assert plan_of([seen(left_right=0)]).mirror_axes == [0]
    assert plan_of([seen(left_right=0), seen(left_right=2)]).mirror_axes == [0, 1, 2]
    across = ((0.0, 1.0, 0.0), (1.0, 0.0, 0.0), (0.0, 0.0, 1.0))  # the second index axis runs along the world's x
    turned = ScalarVolume(np.zeros((4, 5, 6), np.uint8), Grid((4, 5, 6), (1, 1, 1), (0, 0, 0), across))
    assert fingerprint(turned, None, CLASSES).left_right == 1
    assert plan_of([seen()], mirror="on").mirror_axes == [0, 1, 2]


def test_volumes_are_seen_as_they_are_within_what_training_showed():
    plan = plan_of([seen(spacing=(s,) * 3) for s in (0.09, 0.1, 0.11, 0.3)], zoom=1.2)
    assert plan.spacing == pytest.approx((0.105,) * 3)
    assert plan.finest == pytest.approx((0.09 / 1.2,) * 3, rel=1e-3)
    assert plan.coarsest == pytest.approx((0.105 * 1.25 * 1.2,) * 3, rel=1e-3)
    for size, resampled in ((0.07, True), (0.08, False), (0.15, False), (0.16, True)):
        assert plan.needs_resampling(Grid((4, 4, 4), (size,) * 3)) == resampled
    fixed = plan_of([seen()], spacing_mm=(0.1, 0.1, 0.1))
    assert fixed.needs_resampling(Grid((4, 4, 4), (0.11,) * 3)) and not fixed.needs_resampling(
        Grid((4, 4, 4), (0.104,) * 3)
    )
    sides = ClassMap.of({"left mandible": "l*", "right mandible": "r*"})
    assert plan_of([seen()], sides).mirror_axes == []
    assert plan_of([seen()], sides, mirror="on").mirror_axes == [0, 1, 2]


def test_air_and_bone_are_found_in_any_units():
    rng = np.random.default_rng(0)
    image = np.full((40, 40, 40), 5.0)
    image[10:20], image[16:20] = 30, 100
    image += rng.normal(0, 1, image.shape)
    for gain, offset in ((1, 0), (300, 4000)):
        volume = ScalarVolume(image * gain + offset, Grid(image.shape, (1, 1, 1)))
        low, scale = intensity_range(volume)
        assert low == pytest.approx(5 * gain + offset, abs=3 * gain)
        assert scale == pytest.approx(95 * gain, rel=0.05)


def test_the_scale_is_bone_however_much_flesh_there_is(head_cases):
    """Bone stands at about 1 after normalisation in every head, whatever the scanner's numbers."""
    for case in head_cases:
        low, scale = intensity_range(case.image)
        bone = float(case.image.array[case.labels.mask("OtherBone")].mean())
        assert 0.6 < (bone - low) / scale < 1.1


def test_three_kinds_are_divided_where_skimage_divides_them():
    filters = pytest.importorskip("skimage.filters")
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(m, 1, n) for m, n in ((0, 1000), (10, 400), (25, 200))])
    counts, edges = np.histogram(values, 128)
    ours = three_kinds(counts, (edges[1:] + edges[:-1]) / 2)
    assert np.allclose(ours, filters.threshold_multiotsu(values, 3, nbins=128), atol=3 * (edges[1] - edges[0]))


def test_a_plan_is_read_back_from_what_was_written():
    plan = plan_of([seen()])
    assert Plan.from_dict(plan.to_dict()) == plan
    with pytest.raises(FormatError):
        Plan.from_dict({"patch": [1]})


def test_the_network_keeps_the_patch_s_shape():
    import torch

    plan = plan_of([seen(shape=(20, 64, 64), spacing=(0.1, 0.1, 0.4))], patch_voxels=16**3 * 2)
    for stem in (plan.stem, (1, 1, 1)):
        network = UNet3d(3, plan.channels, plan.pools, plan.kernels, things=True, stem=stem)
        with torch.inference_mode():
            assert network(torch.zeros(1, 1, *plan.patch)).shape == (1, 5, *plan.patch)
    assert activation_bytes(plan.patch, plan.channels, plan.pools, training=True) > activation_bytes(
        plan.patch, plan.channels, plan.pools, training=False
    )


@pytest.mark.parametrize("bad", [{"stepz": 3}, {"mirror": "maybe"}, {"spacing_mm": [1, 2]}, {"overlap": 2.0}])
def test_settings_that_make_no_sense_are_refused(bad):
    with pytest.raises(InputError):
        SegmenterSettings.from_dict(bad)


def test_flesh_alone_is_empty_where_every_class_is_brighter():
    from ethomorph.volumes.unet3d import empty_below

    edges = np.concatenate([[-1.5], np.linspace(-1.5, 3.5, 129)[1:]])
    dark, bright = (edges[:-1] >= -1.2) & (edges[:-1] < -0.9), (edges[:-1] >= 0.5) & (edges[:-1] < 1.5)
    air = dark.astype(float)
    assert 0.5 < empty_below(np.stack([air, bright * 1.0, bright * 2.0])) < 0.7
    assert empty_below(np.stack([air, bright * 1.0, dark * 1.0])) == -0.6

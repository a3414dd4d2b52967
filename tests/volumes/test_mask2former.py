"""The slice-wise method: its codec, decoding against transformers' own, merging, and a few slices learned by heart."""

import numpy as np
import pytest

from ethomorph.core.errors import FormatError, InputError
from ethomorph.core.grid import Grid
from ethomorph.core.volume import LabelVolume, ScalarVolume
from ethomorph.volumes.classes import ClassMap
from ethomorph.volumes.data import Case
from ethomorph.volumes.estimator import VolumeSegmenter
from ethomorph.volumes.merge import merge_slices
from ethomorph.volumes.panoptic import compare_instances, panoptic_quality
from ethomorph.volumes.slice_codec import PanopticSlice, decode_slice, encode_slice, pixels_of

CLASSES = ClassMap.of({"jaw": "jaw", "tooth": {"match": "t*", "instances": True}})


def a_slice() -> tuple[np.ndarray, np.ndarray]:
    classes, ids = np.zeros((32, 48), np.uint8), np.zeros((32, 48), np.uint16)
    classes[20:28, 4:44] = 1
    for i, number in enumerate((300, 7, 65535)):
        box = (slice(10, 20), slice(5 + 12 * i, 15 + 12 * i))
        classes[box], ids[box] = 2, number
    return classes, ids


def logits_of(masks: np.ndarray, kinds: np.ndarray, sure: float = 6.0) -> tuple[np.ndarray, np.ndarray]:
    """Queries of a network that makes no mistake, and two that say nothing."""
    logits = np.zeros((len(kinds) + 2, 3))
    logits[np.arange(len(kinds)), kinds] = sure
    logits[len(kinds) :, 2] = sure
    return logits, np.concatenate([np.where(masks, 0.95, 0.02), np.full((2, *masks.shape[1:]), 0.4)])


def test_encoding_and_decoding_come_back_to_the_same():
    classes, ids = a_slice()
    target = encode_slice(classes, ids, CLASSES)
    assert target.classes.tolist() == [0, 1, 1, 1] and target.masks.sum() == (classes > 0).sum()
    found = decode_slice(*logits_of(target.masks, target.classes), [1], score=0.5, mask=0.5, overlap=0.8)
    table = np.array([0, *found.classes])
    assert np.array_equal(table[found.ids], classes)
    assert compare_instances(ids, np.where(table[found.ids] == 2, found.ids, 0)).overlaps.tolist() == [1.0] * 3


def test_stuff_in_two_queries_is_one_segment():
    masks = np.zeros((2, 8, 8), bool)
    masks[0, :, :4], masks[1, :, 4:] = True, True
    for kind, number in ((0, 1), (1, 2)):
        found = decode_slice(*logits_of(masks, np.array([kind, kind])), [1], score=0.5, mask=0.5, overlap=0.8)
        assert len(found.classes) == number


def test_a_sure_mask_of_an_unsure_query_stays():
    """Where masks are multiplied by the score before the test, a tooth of 0.55 and 0.9 would vanish."""
    masks = np.zeros((1, 8, 8), bool)
    masks[0, 2:6, 2:6] = True
    logits = np.array([[0.0, 0.0, 0.0], [0, 0, 9.0]])
    logits[0] = np.log([0.2, 0.55, 0.25])
    found = decode_slice(logits, np.stack([np.where(masks[0], 0.9, 0.1), np.zeros((8, 8))]), [1], score=0.5, mask=0.5,
                         overlap=0.8)  # fmt: skip
    assert found.classes == [2] and (found.ids > 0).sum() == 16


def test_it_decodes_as_transformers_does_where_scores_are_high():
    transformers = pytest.importorskip("transformers")
    torch = pytest.importorskip("torch")
    from transformers.models.mask2former.modeling_mask2former import Mask2FormerForUniversalSegmentationOutput

    processor = transformers.Mask2FormerImageProcessorPil(num_labels=2, ignore_index=255)
    classes, ids = a_slice()
    target = encode_slice(classes, ids, CLASSES)
    logits, shares = logits_of(target.masks, target.classes, sure=12.0)
    output = Mask2FormerForUniversalSegmentationOutput(
        class_queries_logits=torch.from_numpy(logits)[None].float(),
        masks_queries_logits=torch.logit(torch.from_numpy(shares))[None].float(),
    )
    theirs = processor.post_process_panoptic_segmentation(output, label_ids_to_fuse={0}, target_sizes=[classes.shape])[
        0
    ]
    ours = decode_slice(logits, shares, [1], score=0.5, mask=0.5, overlap=0.8)
    assert len(theirs["segments_info"]) == len(ours.classes)
    # transformers also gives pixels that no mask holds to the best of the poor; only what some mask holds is compared
    segmentation = np.where(classes > 0, theirs["segmentation"].numpy(), 0)
    score = compare_instances(segmentation, ours.ids)
    assert len(score.pairs) == 4 and score.overlaps.tolist() == [1.0] * 4


def test_intensities_are_windowed_and_scaled_as_imagenet():
    pixels = pixels_of(np.array([[-1.0, 0.5, 2.0, 9.0]]))
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    assert np.allclose(pixels[:, 0, 0] * std + mean, 0, atol=1e-6)
    assert np.allclose(pixels[:, 0, 2] * std + mean, 1)
    assert np.array_equal(pixels[:, 0, 2], pixels[:, 0, 3]) and pixels.dtype == np.float32


def tooth_slices(lost: int | None = None) -> tuple[list[PanopticSlice], np.ndarray]:
    truth = np.zeros((12, 20, 40), int)
    truth[2:10, 3:10, 3:10], truth[2:10, 3:10, 10:17], truth[5:12, 12:18, 20:30] = 1, 2, 3
    rng = np.random.default_rng(0)
    slices = []
    for z, plane in enumerate(truth):
        numbers = [int(v) for v in np.unique(plane) if v and not (z == lost and v == 2)]
        order = rng.permutation(len(numbers))
        ids = np.zeros(plane.shape, int)
        for place, which in enumerate(order, start=1):
            ids[plane == numbers[which]] = place
        slices.append(PanopticSlice(ids, [2] * len(numbers), [1.0] * len(numbers)))
    return slices, truth


@pytest.mark.parametrize("lost", [None, 5])
def test_slices_merge_to_the_volume_s_things_over_a_gap(lost):
    slices, truth = tooth_slices(lost)
    classes, instances, owners = merge_slices(slices, [2])
    assert owners == [2, 2, 2] and set(np.unique(classes)) == {0, 2}
    score = compare_instances(truth, instances)
    assert len(score.pairs) == 3 and score.overlaps.min() >= (1.0 if lost is None else 0.8)
    assert len(merge_slices(slices, [2], gap=0)[2]) == (3 if lost is None else 4)


def test_things_above_the_size_cap_are_split_at_their_necks():
    ids = np.zeros((14, 14, 40), int)
    z, y, x = np.ogrid[:14, :14, :40]
    for centre in (9, 29):
        ids[(z - 7) ** 2 + (y - 7) ** 2 + (x - centre) ** 2 < 36] = 1
    ids[6:9, 6:9, 9:29] = 1
    slices = [PanopticSlice(p, [2] if p.any() else [], [1.0]) for p in ids]
    assert len(merge_slices(slices, [2])[2]) == 1
    _, instances, owners = merge_slices(slices, [2], largest_voxels=1000)
    assert len(owners) == 2 and abs(int((instances == 1).sum()) - int((instances == 2).sum())) < 60


def few_slices() -> Case:
    """Four slices of blocks: jaw below, touching teeth above."""
    shape = (4, 64, 64)
    labels, image = np.zeros(shape, np.uint8), np.full(shape, 1000, np.uint16)
    labels[:, 40:52, 6:58] = 1
    for i in range(3):
        labels[:, 22:40, 8 + 16 * i : 22 + 16 * i] = 2 + i
    image[labels == 1], image[labels > 1] = 20000, 30000
    noisy = (image + np.random.default_rng(0).normal(0, 300, shape)).clip(0, 65535).astype(np.uint16)
    grid = Grid(shape, (0.1, 0.1, 0.1))
    names = {"jaw": 1, "t1": 2, "t2": 3, "t3": 4}
    return Case("few", ScalarVolume(noisy, grid), LabelVolume.of(labels, grid, names))


def test_a_small_network_from_scratch_learns_and_is_saved(tmp_path):
    pytest.importorskip("transformers")
    case = few_slices()
    settings = {"steps": 25, "crop": 64, "width": 32, "queries": 12, "decoder_layers": 2, "learning_rate": 2e-3}
    model = VolumeSegmenter(method="mask2former", classes=CLASSES, settings=settings, device="cpu")
    model.fit([case], folder=tmp_path / "run", progress=False)
    rows = (tmp_path / "run" / "history.csv").read_text().splitlines()
    assert len(rows) == 2 and float(rows[1].split(",")[1]) < 60
    model.save(tmp_path / "m")
    again = VolumeSegmenter.load(tmp_path / "m", device="cpu")
    one, two = (m.predict_case(case, progress=False) for m in (model, again))
    assert np.array_equal(one.array, two.array) and one.grid.is_same(case.image.grid)
    with pytest.raises(FormatError, match="holds no Mask2Former"):
        VolumeSegmenter(method="mask2former", classes=CLASSES, settings=settings | {"pretrained": str(tmp_path)}).fit(
            [case], progress=False
        )
    same = VolumeSegmenter(
        method="mask2former", classes=CLASSES, settings=settings | {"pretrained": str(tmp_path / "m"), "steps": 1},
        device="cpu",
    )  # fmt: skip
    same.fit([case], progress=False)


@pytest.mark.parametrize("bad", [{"axis": "w"}, {"crop": 50}, {"cropp": 64}, {"magnify": 0}])
def test_settings_that_make_no_sense_are_refused(bad):
    with pytest.raises(InputError):
        VolumeSegmenter(method="mask2former", classes=CLASSES, settings=bad)


def test_slices_become_a_data_set_with_ids_of_the_whole_volume(tmp_path, head_cases, classes):
    datasets = pytest.importorskip("datasets")
    from ethomorph.volumes.slices import write_slices

    write_slices(head_cases, ["train", "train", "test"], classes, tmp_path / "d", axis="y", every=4)
    found = datasets.load_from_disk(str(tmp_path / "d"))
    assert set(found) == {"train", "test"}
    specimens = {part: set(rows["specimen"]) for part, rows in found.items()}
    assert not specimens["train"] & specimens["test"]
    case = head_cases[2]
    encoded = classes.encode(case.labels)
    for row in found["test"]:
        index = row["slice_index"]
        annotation = np.array(row["annotation"]).astype(int)
        assert np.array_equal(np.array(row["image"]), case.image.array[:, index])
        assert np.array_equal(np.where(annotation > 3, annotation - 3, 0), encoded.instances[:, index])
        for info in row["segments_info"]:
            mine = annotation == info["id"]
            assert mine.sum() == info["area"]
            assert (encoded.classes[:, index][mine] == info["category_id"]).all()
            x, y, width, height = info["bbox"]
            assert mine[y : y + height, x : x + width].sum() == info["area"]
    assert row["spacing_mm"] == pytest.approx(list(case.image.grid.spacing)[::-1][::1], rel=1e-9)


def test_panoptic_quality_of_slices_is_that_of_volumes():
    slices, truth = tooth_slices()
    _, instances, _ = merge_slices(slices, [2])
    assert panoptic_quality(np.array([compare_instances(truth, instances).sums])) == 1.0

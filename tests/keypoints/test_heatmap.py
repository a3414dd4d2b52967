"""The heat-map method learns toy pictures, says so when there is nothing to see, and comes back from disk the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from ethomorph.core.errors import FormatError, LabelError, StudyError
from ethomorph.core.landmarks import LandmarkSet
from ethomorph.keypoints import coarse
from ethomorph.keypoints.coarse import CoarseNetwork, CoarseSettings
from ethomorph.keypoints.data import by_picture
from ethomorph.keypoints.estimator import LandmarkRegressor
from ethomorph.keypoints.heatmap import HeatmapModel, fitting_template
from ethomorph.keypoints.heatmap_settings import HeatmapSettings
from ethomorph.keypoints.template import Template, robust_similarity


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Networks this small are no faster on two threads, and much slower where another process wants the core."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("toys")


@pytest.fixture(scope="module")
def trained(toys: ModuleType, folder: Path) -> LandmarkRegressor:
    where = folder / "train"
    where.mkdir()
    landmarks = toys.make(where, 16)
    hidden = landmarks.array()
    hidden[::4, 2] = np.nan  # a quarter of the dots was not marked
    return LandmarkRegressor(settings=toys.SETTINGS).fit(
        landmarks.with_points(hidden), folder=folder / "run", progress=False
    )


@pytest.fixture(scope="module")
def unseen(toys: ModuleType, folder: Path) -> LandmarkSet:
    where = folder / "test"
    where.mkdir()
    return toys.make(where, 8, seed=9)


@pytest.mark.slow
def test_learns_to_a_fraction_of_a_pixel(trained: LandmarkRegressor, unseen: LandmarkSet) -> None:
    found = trained.predict(unseen, progress=False)
    assert [s.id for s in found] == [s.id for s in unseen]
    error = np.linalg.norm(found.array() - unseen.array(), axis=-1)
    assert error.mean() < 0.4 and error.max() < 1.5
    assert min(s.confidence.min() for s in found) > 0.5
    assert all(s.attributes["status"] == "found" and 0 < s.spread.max() < 2 for s in found)


@pytest.mark.slow
def test_finds_what_is_larger_and_turned(toys: ModuleType, trained: LandmarkRegressor) -> None:
    pixels, marks = toys.draw(np.random.default_rng(4), size=96)
    large = np.kron(pixels, np.ones((3, 3), np.uint8))
    found = trained.predict([large], progress=False)
    expected = (marks[0] + 0.5) * 3 - 0.5
    assert np.linalg.norm(found[0].points - expected, axis=1).mean() < 1.5


@pytest.mark.slow
def test_empty_pictures_give_nothing(trained: LandmarkRegressor) -> None:
    rng = np.random.default_rng(0)
    empty = [np.full((96, 96), 0.3, np.float32), rng.uniform(0, 1, (96, 96)), 0.3 + 0.1 * rng.uniform(0, 1, (120, 80))]
    found = trained.predict([e.astype(np.float32) for e in empty], progress=False)
    assert [s.attributes["status"] for s in found] == ["not found"] * 3
    assert np.isnan(found.array()).all()


@pytest.mark.slow
def test_saved_model_predicts_the_same(trained: LandmarkRegressor, unseen: LandmarkSet, tmp_path: Path) -> None:
    trained.save(tmp_path / "model")
    again = LandmarkRegressor.load(tmp_path / "model")
    before, after = (m.predict(unseen.subset([0, 1]), progress=False) for m in (trained, again))
    assert np.array_equal(before.array(), after.array())
    assert np.array_equal(before[0].spread, after[0].spread)
    assert not [p for p in (tmp_path / "model").iterdir() if p.suffix in (".pkl", ".pt", ".ckpt")]
    (tmp_path / "model" / "model.safetensors").write_bytes(b"nonsense")
    with pytest.raises(FormatError, match=r"model\.safetensors"):
        LandmarkRegressor.load(tmp_path / "model")


@pytest.mark.slow
def test_run_folder_explains_the_training(trained: LandmarkRegressor, folder: Path) -> None:
    header = (folder / "run" / "history.csv").read_text().splitlines()[0]
    assert all(name in header for name in ("train_loss", "train_landmarks", "train_centre", "train_patches"))
    result = trained.model_.result_
    assert result.stop == "steps" and result.health.verdict != "sick"


@pytest.mark.slow
def test_several_specimens_in_a_picture(toys: ModuleType, tmp_path: Path) -> None:
    landmarks = toys.make(tmp_path, 14, specimens=2)
    settings = HeatmapSettings.from_dict({**toys.SETTINGS, "steps": 150})
    model = HeatmapModel(settings=settings).fit(by_picture(landmarks), names=landmarks.names, progress=False)
    assert model.specimens_ == 2
    rng = np.random.default_rng(7)
    right = 0
    for _ in range(4):
        pixels, marks = toys.draw(rng, specimens=2)
        found = model.predict_image((pixels / 255).astype(np.float32))
        near = [min(np.linalg.norm(f.points - m, axis=1).mean() for f in found) for m in marks if found]
        right += len(found) == 2 and max(near) < 2
    assert right >= 3


@pytest.mark.slow
def test_broken_off_training_ends_the_same(
    toys: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ethomorph.keypoints.heatmap_train import HeatmapModule

    landmarks = toys.make(tmp_path, 4)
    settings = HeatmapSettings.from_dict({**toys.SETTINGS, "steps": 50, "pictures": 1, "patches": 2})
    pictures = by_picture(landmarks)
    whole = HeatmapModel(settings=settings).fit(pictures, folder=tmp_path / "whole", progress=False)
    step, calls = HeatmapModule.training_step, []

    def breaks(self: HeatmapModule, batch: dict[str, torch.Tensor], index: int) -> torch.Tensor:
        calls.append(index)
        if len(calls) == 30:
            raise OSError("the power went off")
        return step(self, batch, index)

    monkeypatch.setattr(HeatmapModule, "training_step", breaks)
    with pytest.raises(OSError, match="power"):
        HeatmapModel(settings=settings).fit(pictures, folder=tmp_path / "broken", progress=False)
    monkeypatch.undo()
    resumed = HeatmapModel(settings=settings).fit(pictures, folder=tmp_path / "broken", resume=True, progress=False)
    for name, value in whole._stages.state_dict().items():
        assert torch.equal(value, resumed._stages.state_dict()[name]), name


def test_missing_landmarks_teach_nothing() -> None:
    torch.manual_seed(0)
    network = CoarseNetwork(3, CoarseSettings(filters=4, max_stride=8), several=False)
    points = torch.full((2, 1, 3, 2), torch.nan)
    points[:, 0, 0] = 20.0
    loss = network.loss(torch.randn(2, 1, 48, 48), points)["landmarks"]
    loss.backward()
    gradient = network.net.head.weight.grad[1:].abs().sum((1, 2, 3))
    assert float(gradient[0]) > 0 and gradient[1:].tolist() == [0, 0]


def test_centre_map_learns_nothing_here() -> None:
    logits = torch.zeros(2, 4, 5)
    targets = torch.zeros(2, 4, 5)
    targets[0, 1, 1] = 1
    loss = coarse.centre_cross_entropy(logits, targets)
    assert loss.tolist() == pytest.approx([np.log(40), np.log(2)], abs=1e-5)
    assert float(coarse.centre_probabilities(logits)[0].sum()) == pytest.approx(0.5, abs=1e-5)


def test_robust_similarity_ignores_one_wild_point() -> None:
    rng = np.random.default_rng(0)
    target = rng.normal(0, 50, (12, 2))
    angle = np.deg2rad(140)
    turn = 0.4 * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    source = target @ turn.T + [300, 200] + rng.normal(0, 0.2, target.shape)
    source[3] += 90
    source[7] = np.nan
    matrix = robust_similarity(source, target)
    kept = [i for i in range(12) if i not in (3, 7)]
    moved = source[kept] @ matrix[:2, :2].T + matrix[:2, 2]
    assert np.abs(moved - target[kept]).max() < 3
    assert np.allclose(robust_similarity(source[:1], target[:1])[:2, :2], np.eye(2))


def test_mean_shape_has_the_median_size_and_no_gaps() -> None:
    rng = np.random.default_rng(1)
    base = rng.normal(0, 30, (6, 2))
    sizes = np.array([0.8, 0.9, 1.0, 1.1, 1.2])
    shapes = np.array([base * s + rng.normal(0, 100, 2) for s in sizes])
    shapes[1, 4] = np.nan
    mean = Template.fit(shapes).mean
    assert np.linalg.norm(mean - mean.mean(0)) == pytest.approx(np.linalg.norm(base - base.mean(0)), rel=0.01)


def test_what_moves_by_itself_has_a_long_reach() -> None:
    rng = np.random.default_rng(2)
    base = rng.normal(0, 40, (10, 2))
    shapes = base + rng.normal(0, 0.5, (30, 10, 2))
    shapes[:, :2] += rng.normal(0, 20, (30, 1, 2))
    template = Template.fit(shapes)
    assert template.reach[:2].min() > 12 and template.reach[2:].max() < 2
    placed = base * 0.5 + [200, 100]
    placed[5] += 60
    expected, deviation = template.expected(placed, np.ones(10))
    assert np.linalg.norm(expected[5] - (base[5] * 0.5 + [200, 100])) < 2
    assert deviation[5] < 4 < deviation[0]


def test_large_pictures_are_approached_in_levels() -> None:
    shapes = np.random.default_rng(0).uniform(0, 500, (3, 8, 2))
    levels = [fitting_template(shapes * f, (480 * f, 632 * f), HeatmapSettings()).levels for f in (1, 2, 4)]
    assert levels == [1, 2, 2]  # the last is shrunk to specimen_px first


def test_bad_settings_are_refused_by_name() -> None:
    with pytest.raises(StudyError, match=r"settings\.refine\.patch"):
        HeatmapSettings.from_dict({"refine": {"patch": 3}})
    with pytest.raises(StudyError, match=r"settings\.steps.*whole number"):
        HeatmapSettings.from_dict({"steps": 2.5})
    with pytest.raises(StudyError, match="multiple"):
        HeatmapSettings.from_dict({"refine": {"patch_px": 50}})
    assert HeatmapSettings.from_dict(HeatmapSettings(steps=7).to_dict()) == HeatmapSettings(steps=7)


def test_landmarks_that_nobody_marked_are_refused(toys: ModuleType, tmp_path: Path) -> None:
    landmarks = toys.make(tmp_path, 3)
    points = landmarks.array()
    points[:, 1] = np.nan
    with pytest.raises(LabelError, match="landmark 2 is missing in every"):
        LandmarkRegressor(settings=toys.SETTINGS, shape_prior=False).fit(landmarks.with_points(points), progress=False)

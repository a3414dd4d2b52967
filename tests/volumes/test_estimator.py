"""The segmenter learns, resumes, is saved and loaded, and says what it needs."""

import os
import signal

import numpy as np
import pytest

from ethomorph.core.errors import FormatError, InputError, LabelError
from ethomorph.training.settings import FitSettings
from ethomorph.volumes.data import Case
from ethomorph.volumes.estimator import VolumeSegmenter
from ethomorph.volumes.patches import Patches
from ethomorph.volumes.score import score_volume

QUICK = {"patch_voxels": 24**3, "channels": 6, "averaging": 0.95}


@pytest.fixture(scope="module")
def fitted(head_cases, classes, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    model = VolumeSegmenter(classes=classes, settings=QUICK | {"steps": 100}, device="cpu")
    model.fit(head_cases[:2], validation=head_cases[2:], folder=folder, progress=False)
    return model, folder


def scored(model, case):
    truth = model.classes.encode(case.labels)
    found = model.classes.encode_prediction(model.predict_case(case, progress=False))
    return score_volume(case.name, case.name, truth, found, model.classes, case.labels.grid, surfaces=False)


def test_it_learns_bone_and_jaws(fitted, head_cases):
    model, _ = fitted
    score = scored(model, head_cases[2])
    assert score.classes["bone"].dice > 0.45
    assert score.classes["jaw"].dice > 0.35


def test_it_leaves_a_readable_plan_and_no_prepared_volumes(fitted):
    import tomllib

    model, folder = fitted
    plan = tomllib.loads((folder / "plan.toml").read_text())
    assert plan["steps"] == 100 and plan["mirror_axes"] == [2] and plan["because"]
    assert set(plan["thresholds"]) == {"thing", "rise", "border", "depth", "smooth", "smallest_mm3",
                                       "radius_mm", "typical_mm3"}  # fmt: skip
    assert not (folder / "prepared").exists()
    assert (folder / "health.json").is_file() and (folder / "history.csv").is_file()
    assert any("thresholds tuned on 1 validation volumes" in note for note in model.notes_)


def test_predictions_lie_on_the_image_s_own_grid_with_names(fitted, head_cases):
    model, _ = fitted
    fine = head_cases[0].image.on(head_cases[0].image.grid.resized((0.3, 0.3, 0.3)))
    found = model.predict(fine, progress=False)[0][1]
    assert found.grid.is_same(fine.grid) and found.reference.is_same(fine.grid)
    assert {"jaw", "bone"} <= set(found.names)
    assert {s.value for s in found} >= set(np.unique(found.array)) - {0}
    assert "predicted to need" in found.notes[0]


def test_saved_and_loaded_it_predicts_the_same(fitted, head_cases, tmp_path):
    model, _ = fitted
    model.save(tmp_path / "m")
    again = VolumeSegmenter.load(tmp_path / "m", device="cpu")
    one, two = (m.predict_case(head_cases[2], progress=False) for m in (model, again))
    assert np.array_equal(one.array, two.array) and one.names == two.names
    assert np.array_equal(model.baseline(head_cases[2].image), again.baseline(head_cases[2].image))
    weights = tmp_path / "m" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-500])
    with pytest.raises(FormatError, match=r"model\.safetensors"):
        VolumeSegmenter.load(tmp_path / "m")


def test_a_broken_off_training_goes_on_to_the_same_weights(head_cases, classes, tmp_path):
    def trained(folder, *, resume=False):
        settings = {"patch_voxels": 16**3, "channels": 4, "steps": 30}
        model = VolumeSegmenter(classes=classes, settings=settings, device="cpu")
        model.fit(head_cases[:1], folder=folder, resume=resume, progress=False)
        return {k: v.numpy() for k, v in model.model_._network.state_dict().items()}

    whole = trained(tmp_path / "a")
    with pytest.MonkeyPatch.context() as patch:  # a clock that stops the training after its first steps
        real = FitSettings.__init__
        patch.setattr(FitSettings, "__init__", lambda self, **k: real(self, **{**k, "max_minutes": 1e-6}))
        trained(tmp_path / "b")
    assert len((tmp_path / "b" / "history.csv").read_text().splitlines()) < 3
    broken = trained(tmp_path / "b", resume=True)
    assert all(np.array_equal(whole[k], broken[k]) for k in whole)


def test_a_training_told_to_stop_does_not_tune_first(head_cases, classes, tmp_path, monkeypatch):
    drawn, told = Patches.__getitem__, iter([True])

    def draw(self, index):
        if next(told, False):
            os.kill(os.getpid(), signal.SIGTERM)
        return drawn(self, index)

    monkeypatch.setattr(Patches, "__getitem__", draw)
    monkeypatch.setattr("ethomorph.volumes.unet3d.tune", lambda *a, **k: pytest.fail("tuned"))
    model = VolumeSegmenter(classes=classes, settings={"patch_voxels": 16**3, "channels": 4, "steps": 30}, device="cpu")
    model.fit(head_cases[:1], validation=head_cases[1:2], folder=tmp_path, progress=False)
    assert any("interrupted" in note for note in model.notes_)


def test_what_intensity_alone_gives_is_a_baseline(fitted, head_cases):
    model, _ = fitted
    found = model.baseline(head_cases[2].image)
    truth = model.classes.encode(head_cases[2].labels).classes
    assert (found[truth == 0] == 0).mean() > 0.8
    assert (found[truth > 0] > 0).mean() > 0.15 and set(np.unique(found)) <= {0, 1, 2, 3}


def test_what_cannot_be_is_refused(head_cases, classes):
    with pytest.raises(InputError, match="no training volumes"):
        VolumeSegmenter(classes=classes).fit([])
    with pytest.raises(InputError, match="method"):
        VolumeSegmenter(classes=classes, method="magic")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="trained"):
        VolumeSegmenter(classes=classes).predict_case(head_cases[0])
    with pytest.raises(LabelError, match="class 'horn' has no voxel"):
        VolumeSegmenter(classes={"horn": "Horn*"}, settings={"steps": 1}).fit(head_cases[:1], progress=False)
    with pytest.raises(LabelError, match="has no segmentation"):
        VolumeSegmenter(classes=classes, settings={"steps": 1}).fit([Case("a", head_cases[0].image)], progress=False)

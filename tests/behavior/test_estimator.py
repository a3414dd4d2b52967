"""The classifier end to end: clips of an arena, measured signals, recordings; every method, saved and loaded."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ethomorph.behavior.estimator import BehaviorClassifier
from ethomorph.behavior.metrics import OF_CONFUSION, confusion
from ethomorph.core.clips import Clip, ClipSet
from ethomorph.core.errors import ImageError, LabelError, StudyError
from ethomorph.core.recordings import Recording
from ethomorph.phantoms.arena import simulate_arena

QUICK = {"frames": 12, "side_px": 48, "trees": {"rounds": 10}}
TINY = {"frames": 8, "side_px": 32, "network": {"epochs": 2, "width": 0.25, "batch_size": 8}}


@pytest.fixture(scope="module")
def halves(clips):
    """Clips of five individuals to learn from, of three to judge on."""
    names = sorted(set(clips.groups))
    train = [i for i, c in enumerate(clips) if c.group in names[:5]]
    return clips.subset(train), clips.subset(i for i in range(len(clips)) if i not in set(train))


@pytest.fixture(scope="module")
def fitted(halves, tmp_path_factory):
    cache = tmp_path_factory.mktemp("cache")
    return BehaviorClassifier(settings=QUICK, cache=cache).fit(halves[0], progress=False)


def test_unseen_individuals_are_told_apart(fitted, halves):
    found = fitted.predict(halves[1], progress=False)
    table = confusion(halves[1].codes(fitted.classes_), np.asarray(found.codes), len(fitted.classes_))
    assert OF_CONFUSION["balanced_accuracy"](table) > 0.6  # 0.25 by chance
    assert np.allclose(np.asarray(found.probabilities).sum(1), 1)
    assert found.labels == [found.classes[int(c)] for c in np.asarray(found.codes)]


def test_saved_and_loaded_it_says_the_same(fitted, halves, tmp_path):
    again = BehaviorClassifier.load(fitted.save(tmp_path / "model"))
    mine, its = (m.predict(halves[1], progress=False).probabilities for m in (fitted, again))
    assert np.allclose(mine, its)
    assert sorted(p.name for p in (tmp_path / "model").iterdir()) == ["features.safetensors", "model.toml"]


def test_a_balanced_teaching_is_undone(halves):
    clips = halves[0]
    commonest = max(clips.classes, key=clips.labels.count)
    some = [i for i, c in enumerate(clips) if c.label in (commonest, "spawn", "fish_other")]
    settings = QUICK | {"imbalance": {"class_weights": 1.0}, "linear_share": 1.0}
    true = BehaviorClassifier(settings=settings).fit(clips.subset(some), progress=False)
    assert not np.allclose(true.taught_, true.prior_)
    found = np.asarray(true.predict(clips.subset(some), progress=False).probabilities)
    assert np.abs(found.mean(0) - true.prior_).max() < 0.12
    raw = replace(true.settings, imbalance=replace(true.settings.imbalance, correct_prior=False))
    true.settings = raw
    assert np.abs(np.asarray(true.predict(clips.subset(some), progress=False).probabilities) - found).max() > 0.01


@pytest.mark.parametrize("method", ["tcn", "convlstm", "r3d", "x3d"])
def test_every_network_trains_predicts_saves_and_loads(method, halves, tmp_path):
    train = halves[0].subset(range(24))
    model = BehaviorClassifier(method=method, settings=TINY)
    model.fit(train, halves[1].subset(range(8)), classes=halves[0].classes, folder=tmp_path / "run", progress=False)
    assert (tmp_path / "run" / "history.csv").exists() and (tmp_path / "run" / "health.json").exists()
    some = halves[1].subset(range(6))
    mine = np.asarray(model.predict(some, progress=False).probabilities)
    again = BehaviorClassifier.load(model.save(tmp_path / "model"))
    assert np.allclose(mine, again.predict(some, progress=False).probabilities, atol=1e-5)
    assert mine.shape == (6, len(model.classes_)) and np.allclose(mine.sum(1), 1, atol=1e-5)


def test_weights_from_a_file_start_a_network(halves, tmp_path):
    train = halves[0].subset(range(24))
    first = BehaviorClassifier(method="x3d", settings=TINY).fit(train, progress=False)
    first.save(tmp_path)
    network = TINY["network"] | {"weights": str(tmp_path / "model.safetensors"), "epochs": 1}
    second = BehaviorClassifier(method="x3d", settings=TINY | {"network": network}).fit(train, progress=False)
    assert "0 arrays begin anew" in " ".join(second.notes_)


def test_frames_of_a_recording():
    video = simulate_arena(fish=3, frames=900, size=(240, 320), fps=15, length_px=34, seed=2)
    recordings = video.recordings()
    settings = {"trees": {"rounds": 15}, "stride": 6}
    model = BehaviorClassifier(settings=settings).fit(recordings[:2], progress=False)
    found = model.predict(recordings[2:])
    assert found.frames and len(found.codes[0]) == 900 and found.fps == [15]
    truth = np.array([model.classes_.index(s) if s in model.classes_ else -1 for s in recordings[2].labels])
    known = truth >= 0
    table = confusion(truth[known], np.asarray(found.codes[0])[known], len(model.classes_))
    assert OF_CONFUSION["kappa"](table) > 0.25


def test_a_temporal_network_labels_frames(tmp_path):
    rng = np.random.default_rng(0)
    fast = np.repeat(rng.random(30) < 0.5, 40)
    x = np.cumsum(np.where(fast, 3.0, 0.2) + rng.normal(0, 0.05, len(fast)))
    points = np.stack([np.column_stack([x + d, rng.normal(0, 0.1, len(x))]) for d in (10, 0)], axis=1)[:, None]
    labels = np.where(fast, "run", "rest")
    recording = Recording("r", points, 20.0, ["nose", "tail"], ["a"], group="g", labels=labels)
    settings = {"network": {"epochs": 6, "width": 0.5, "batch_size": 2, "learning_rate": 0.01}}
    model = BehaviorClassifier(method="tcn", settings=settings).fit([recording], progress=False)
    again = BehaviorClassifier.load(model.save(tmp_path))
    said = np.array(again.predict([recording]).labels)
    assert (said == labels).mean() > 0.9


def signals(count: int = 30, length: int = 24) -> ClipSet:
    rng = np.random.default_rng(0)
    waves = [np.sin(np.arange(length) * (0.3 + i % 2))[:, None] + rng.normal(0, 0.1, (length, 1)) for i in range(count)]
    made = [Clip(f"c{i}", ("slow", "fast")[i % 2], f"b{i // 5}", signal=w) for i, w in enumerate(waves)]
    return ClipSet(made, channels=["x"])


def test_measured_signals_need_no_video():
    clips = signals()
    for method in ("features", "tcn"):
        settings = {"trees": {"rounds": 8}, "network": {"epochs": 8, "width": 0.5}}
        model = BehaviorClassifier(method=method, settings=settings).fit(clips, progress=False)
        assert model.predict(clips).labels == clips.labels


def test_features_are_computed_once(clips, tmp_path, monkeypatch):
    from ethomorph.behavior import estimator

    some = clips.subset(range(12))
    settings = QUICK | {"trees": {"rounds": 2}}
    first = BehaviorClassifier(settings=settings, cache=tmp_path).fit(some, progress=False)
    values, _ = first.rows(some, progress=False)
    monkeypatch.setattr(estimator, "clip_signals", lambda *_: pytest.fail("computed again"))
    again, _ = first.rows(some.subset([5, 3]), progress=False)
    assert np.array_equal(again.values, values.values[[5, 3]])
    (file,) = tmp_path.glob("*/features.json")
    file.write_text(file.read_text().replace('"version": 1', '"version": 0'))
    monkeypatch.undo()
    fresh, _ = first.rows(some.subset([5, 3]), progress=False)
    assert np.array_equal(fresh.values, values.values[[5, 3]])


def test_what_cannot_work_is_refused(clips, tmp_path):
    with pytest.raises(StudyError, match="method: 'forest'"):
        BehaviorClassifier(method="forest")  # type: ignore[arg-type]
    with pytest.raises(StudyError, match=r"settings.trees.round: there is no such setting"):
        BehaviorClassifier(settings={"trees": {"round": 3}})
    with pytest.raises(StudyError, match="use method r3d"):
        BehaviorClassifier(method="x3d", settings={"preset": "lab"})
    with pytest.raises(LabelError, match="looks at pixels"):
        BehaviorClassifier(method="x3d").fit(signals())
    one = clips.subset(i for i, c in enumerate(clips) if c.label == "spawn")
    with pytest.raises(LabelError, match=r"1 class\(es\) to learn from"):
        BehaviorClassifier(settings=QUICK).fit(one, progress=False)
    with pytest.raises(LabelError, match="fitted on clips, not on recordings"):
        BehaviorClassifier(settings={"trees": {"rounds": 2}}).fit(signals()).predict([])


def test_unreadable_clips_are_refused_or_left_out_and_listed(clips, tmp_path):
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"not a video" * 100)
    some = clips.subset(range(30))
    spoiled = some.with_clips([replace(some[0], path=bad), *some.clips[1:]])
    with pytest.raises(ImageError, match="1 of 30 clips cannot be read"):
        BehaviorClassifier(settings=QUICK).fit(spoiled, progress=False)
    model = BehaviorClassifier(settings=QUICK | {"unreadable": "leave_out"}).fit(spoiled, progress=False)
    assert list(model.skipped_) == [some[0].name]
    assert len(model.predict(spoiled, progress=False).names) == 29

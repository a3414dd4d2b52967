"""Trees and the linear model as plain arrays: equal to scikit-learn's own answers, missing values included."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

from ethomorph.behavior.boosting import BoostSettings, fit_trees, stopping_round, taken
from ethomorph.behavior.feature_model import FeatureModel, Rows, fit_features, inner_folds, spread_out
from ethomorph.behavior.imbalance import Imbalance
from ethomorph.behavior.linear import fit_linear
from ethomorph.core.errors import FormatError

SMALL = BoostSettings(rounds=12)


def toy(classes: int, count: int = 240, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values with gaps, codes that follow the first two columns, and groups of ten."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(count, 6))
    codes = np.digitize(values[:, 0] + 0.5 * values[:, 1], np.linspace(-1, 1, classes - 1) if classes > 2 else [0])
    values[rng.random(values.shape) < 0.08] = np.nan
    return values, codes, np.array([f"g{i // 10}" for i in range(count)])


@pytest.mark.parametrize("classes", [2, 4])
def test_arrays_answer_as_scikit_learn_does(classes):
    values, codes, _ = toy(classes)
    model = HistGradientBoostingClassifier(max_iter=15, early_stopping=False, random_state=0).fit(values, codes)
    trees = taken(model, classes, values.shape[1])
    assert np.allclose(trees.probabilities(values), model.predict_proba(values), atol=1e-12)
    assert trees.gain.argmax() == 0
    assert np.allclose(trees.cut(5).probabilities(values), list(model.staged_predict_proba(values))[4])


def test_the_linear_model_is_logistic_regression():
    values, codes, _ = toy(3)
    values = np.nan_to_num(values)
    ours = fit_linear(values, codes, classes=4, strength=0.1)
    scaled = (values - values.mean(0)) / values.std(0)
    theirs = LogisticRegression(C=0.1, max_iter=100, tol=1e-3).fit(scaled, codes)
    said = ours.probabilities(values)
    assert np.allclose(said[:, :3], theirs.predict_proba(scaled), atol=1e-4)
    assert said[:, 3].max() < 1e-9  # a class that was never taught


def test_rounds_are_chosen_on_what_was_held_out():
    values, codes, _ = toy(2)
    noisy = np.where(np.random.default_rng(1).random(240) < 0.35, 1 - codes, codes)
    trees, rows = fit_trees(
        values[:160], noisy[:160], classes=2, validation=(values[160:], noisy[160:]),
        settings=BoostSettings(rounds=80, patience=10),
    )  # fmt: skip
    losses = [row["validation_loss"] for row in rows]
    assert len(trees.starts) == stopping_round(losses, 10) < 80


def test_inner_folds_hold_whole_groups():
    _, _, groups = toy(2)
    folds = inner_folds(groups, seed=0)
    assert sorted(np.bincount(folds).tolist()) == [80, 80, 80]
    assert all(len(set(folds[groups == g])) == 1 for g in set(groups))
    assert inner_folds(np.array(["a", "a", "b"]), 0) is None


def test_neighbours_in_time_of_what_is_held_out_do_not_teach():
    rows = Rows(np.zeros((10, 1)), np.zeros(10, int), np.arange(10), times=np.arange(10.0), guard=2.0)
    held = np.arange(10) == 4
    assert np.flatnonzero(rows.apart(held)).tolist() == [0, 1, 7, 8, 9]
    assert rows.at(np.arange(5)).apart(held[:5]).tolist() == [True, True, False, False, False]


@pytest.mark.parametrize("missing", [None, 1])
def test_a_model_comes_back_from_its_folder(tmp_path, missing):
    values, codes, groups = toy(4)
    if missing is not None:
        keep = codes != missing
        values, codes, groups = values[keep], codes[keep], groups[keep]
    model, rows = fit_features(
        Rows(values, codes, groups), None, classes=4, settings=SMALL, imbalance=Imbalance(class_weights=0.5),
        linear_share=-1, seed=0,
    )  # fmt: skip
    assert rows
    model.save(tmp_path)
    again = FeatureModel.load(tmp_path)
    assert np.array_equal(model.probabilities(values), again.probabilities(values))
    assert np.allclose(again.probabilities(values).sum(1), 1)
    if missing is not None:
        assert again.probabilities(values)[:, missing].max() < 1e-6


def test_cut_trees_of_an_absent_class():
    values, codes, _ = toy(4)
    keep = codes != 2
    trees, _ = fit_trees(values[keep], np.unique(codes[keep], return_inverse=True)[1], classes=3, settings=SMALL)
    spread = spread_out(trees, np.array([0, 1, 3]), 4)
    for rounds in (1, 5, 12):
        said, plain = spread.cut(rounds).probabilities(values), trees.cut(rounds).probabilities(values)
        assert np.allclose(said[:, [0, 1, 3]], plain, atol=1e-9) and said[:, 2].max() < 1e-9


def test_a_damaged_file_is_refused(tmp_path):
    (tmp_path / "features.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0{}")
    with pytest.raises(FormatError, match="not a whole model"):
        FeatureModel.load(tmp_path)

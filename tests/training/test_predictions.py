"""Statistics of predictions against scikit-learn and by hand; targets scaled and back."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn import metrics

from ethomorph.core.errors import InputError
from ethomorph.training.evidence import EpochEvidence, Evidence
from ethomorph.training.health import diagnose
from ethomorph.training.predictions import ClassTally, PeakTally, ValueTally
from ethomorph.training.targets import TargetScaler


def test_class_statistics_agree_with_scikit_learn():
    random = np.random.default_rng(0)
    truth = random.choice(5, 400, p=[0.5, 0.2, 0.15, 0.1, 0.05])
    scores = random.normal(size=(400, 5)) + 1.2 * np.eye(5)[truth]
    tally = ClassTally(5)
    for rows in np.array_split(np.arange(400), 7):
        tally.add(torch.tensor(scores[rows]), torch.tensor(truth[rows]))
    said, predicted = tally.statistics(), scores.argmax(1)
    assert said["kappa"] == pytest.approx(metrics.cohen_kappa_score(truth, predicted))
    assert said["balanced_accuracy"] == pytest.approx(metrics.balanced_accuracy_score(truth, predicted))
    assert said["accuracy"] == pytest.approx(metrics.accuracy_score(truth, predicted))
    shares = np.bincount(predicted) / 400
    assert said["entropy"] == pytest.approx(-(shares * np.log(shares)).sum() / np.log(5))
    centred = scores - scores.mean(1, keepdims=True)
    assert said["logit_spread"] == pytest.approx(centred.std(0).max())


def test_pixels_count_like_samples_and_unlabelled_ones_do_not():
    tally = ClassTally(3)
    tally.add(torch.zeros(2, 3, 4, 4), torch.full((2, 4, 4), -1))
    assert tally.statistics() == {}
    tally.add(torch.randn(2, 3, 4, 4), torch.zeros(2, 4, 4, dtype=torch.long))
    assert tally.statistics()["samples"] == 32


def test_equal_logits_have_no_spread_however_large():
    tally = ClassTally(3)
    tally.add(torch.tensor([[1e4, -3e4, 7.0]]).repeat(50, 1), torch.arange(50) % 3)
    assert tally.statistics()["logit_spread"] == 0.0


def test_pictures_without_a_specimen_may_be_empty():
    tally = PeakTally(0.5)
    tally.add(torch.tensor([0.9, 0.1, 0.2]), torch.tensor([True, True, False]))
    assert tally.statistics()["background_share"] == 0.5


def test_values():
    tally = ValueTally()
    predicted, truth = torch.randn(60, 2) * torch.tensor([1.0, 3.0]), torch.randn(60, 2)
    tally.add(predicted[:20], truth[:20])
    tally.add(predicted[20:], truth[20:])
    said = tally.statistics()
    assert said["spread"] == pytest.approx(float(predicted.double().std(0, correction=0).max()))


@pytest.mark.parametrize(
    "said, severity",
    [
        ({"background_share": 1.0, "highest_peak": 0.07, "threshold": 0.2}, "sick"),
        ({"spread": 0.0, "true_spread": 1.0}, "sick"),
        ({"logit_spread": 1e-5, "predicted_classes": 2.0, "true_classes": 5.0}, "sick"),
        ({"predicted_classes": 2.0, "true_classes": 9.0, "entropy": 0.02, "true_entropy": 0.9, "top_share": 0.99,
          "true_top_share": 0.2}, "sick"),
        ({"predicted_classes": 3.0, "true_classes": 9.0, "entropy": 0.3, "true_entropy": 0.9, "top_share": 0.8,
          "true_top_share": 0.2}, "warning"),
        ({"predicted_classes": 9.0, "true_classes": 9.0, "entropy": 0.82, "true_entropy": 0.9, "top_share": 0.3,
          "true_top_share": 0.2, "logit_spread": 1.0}, None),
    ],
)  # fmt: skip
def test_collapse_in_two_epochs(said, severity):
    run = Evidence(validation_samples=99, epochs=[EpochEvidence(1, predictions=said)])
    assert not [one for one in diagnose(run).findings if one.rule == "collapse"]
    run.epochs.append(EpochEvidence(2, predictions=said))
    found = [one for one in diagnose(run).findings if one.rule == "collapse"]
    assert [one.severity for one in found] == ([severity] if severity else [])


@given(arrays(float, st.tuples(st.integers(1, 20), st.integers(1, 4)), elements=st.floats(-1e6, 1e6)))
def test_targets_come_back(targets):
    scaler = TargetScaler.from_dict(TargetScaler.fit(targets).to_dict())
    size = np.abs(targets).max() + 1
    assert np.allclose(scaler.inverse(scaler.transform(targets)), targets, atol=1e-9 * size)


def test_targets_in_a_column_or_a_tensor_with_gaps():
    column = np.array([1.0, np.nan, 5.0])
    scaler = TargetScaler.fit(column)
    assert scaler.transform(column)[[0, 2]].tolist() == [-1.0, 1.0]
    tensor = torch.tensor([[1.0], [5.0]])
    assert scaler.transform(tensor).dtype == torch.float32 and scaler.inverse(scaler.transform(tensor)).equal(tensor)
    assert scaler.inverse_spread(np.array([0.5])).tolist() == [1.0]
    for bad in (np.array([]), np.array([1.0, np.inf]), np.array([[1.0, np.nan], [2.0, np.nan]])):
        with pytest.raises(InputError):
            TargetScaler.fit(bad)

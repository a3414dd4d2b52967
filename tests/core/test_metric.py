from __future__ import annotations

import pytest

from ethomorph.core.metric import Metric


def test_block_goes_there_and_back():
    for metric in (
        Metric(1.5, 1.0, 2.0, "px", 9),
        Metric.missing("none left", unit="px"),
        Metric(1.0, n=3, note="3 groups", points=(1.0, 1.0)),
    ):
        assert Metric.from_dict(metric.to_dict()) == metric


def test_a_value_is_finite_or_missing_with_a_reason():
    with pytest.raises(ValueError, match="reason"):
        Metric(None)
    with pytest.raises(ValueError, match="finite"):
        Metric(float("nan"))

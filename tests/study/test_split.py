from __future__ import annotations

from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ethomorph.core.errors import SplitError
from ethomorph.study.split import assign_parts, fold_parts, warn_if_by_sample


@given(
    groups=st.lists(st.text("abcdefghij", min_size=1, max_size=2), min_size=12, max_size=60),
    test=st.floats(0.05, 0.45),
    validation=st.floats(0, 0.4),
    seed=st.integers(0, 99),
)
def test_a_group_never_stands_in_two_parts_and_training_is_never_empty(groups, test, validation, seed):
    if len(set(groups)) < 3:
        return
    parts = assign_parts(groups, test=test, validation=validation, seed=seed)
    seen = defaultdict(set)
    for group, part in zip(groups, parts, strict=True):
        seen[group].add(part)
    assert all(len(found) == 1 for found in seen.values())
    assert {"train", "test"} <= set(parts)
    assert ("validation" in parts) == (validation > 0)


def test_shares_are_met_where_groups_are_small():
    groups = [f"animal {i}" for i in range(200)]
    parts = assign_parts(groups, test=0.25, validation=0.15, seed=3)
    assert parts.count("test") == 50
    assert parts.count("validation") == 30


def test_same_seed_same_split_whatever_the_order_of_samples():
    groups = [f"animal {i // 2}" for i in range(60)]
    first = dict(zip(groups, assign_parts(groups, seed=5), strict=True))
    again = dict(zip(groups[::-1], assign_parts(groups[::-1], seed=5), strict=True))
    assert first == again
    assert first != dict(zip(groups, assign_parts(groups, seed=6), strict=True))


def test_the_split_is_the_same_on_every_machine():
    assert assign_parts(list("abcdefgh"), test=0.25, validation=0.25, seed=0) == [
        "train",
        "train",
        "validation",
        "test",
        "validation",
        "test",
        "train",
        "train",
    ]


def test_too_few_groups_are_refused_with_numbers():
    with pytest.raises(SplitError, match=r"2 group\(s\) cannot fill 3 parts"):
        assign_parts(["a", "a", "b"], test=0.2, validation=0.2)
    with pytest.raises(SplitError, match="no samples"):
        assign_parts([])


def test_folds_keep_groups_whole_and_are_balanced():
    groups = [f"g{i % 11}" for i in range(110)]
    folds = fold_parts(groups, 5, seed=1)
    assert len({(g, f) for g, f in zip(groups, folds, strict=True)}) == 11
    assert max(folds.count(f) for f in range(5)) <= 30


def test_split_by_sample_is_warned_about():
    with pytest.warns(UserWarning, match="flatter"):
        warn_if_by_sample("sample")

"""Bouts, budgets, transitions: against hand-counted sessions and against BORIS's own definitions."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from ethomorph.behavior.bouts import (
    binned,
    bouts_table,
    log_of,
    more_than_chance,
    observed_seconds,
    shares_of_next,
    time_budget,
    transitions,
    union_seconds,
)
from ethomorph.core.events import Event, EventLog, Observation
from ethomorph.core.recordings import Recording


def session(name: str, *, start: float = 0.0, stop: float = 600.0) -> tuple[list[Event], Observation]:
    """Ten minutes: feeding in the first half, two calls."""
    events = [
        Event(name, "a", "feed", start, start + 300),
        Event(name, "a", "rest", start + 300, stop),
        Event(name, "a", "call", start + 10, start + 10, point=True),
        Event(name, "a", "call", start + 70, start + 70, point=True),
    ]
    return events, Observation(name, start, stop)


@pytest.fixture
def three() -> EventLog:
    parts = [session(f"s{i}") for i in range(3)]
    return EventLog([e for events, _ in parts for e in events], {o.name: o for _, o in parts})


def row(table: pd.DataFrame, behavior: str, subject: str = "a") -> pd.Series:
    return table[(table["behavior"] == behavior) & (table["subject"] == subject)].iloc[0]


def test_three_equal_sessions_give_the_share_of_one(three):
    budget = time_budget(three)
    feed = row(budget, "feed")
    assert feed["share_of_observed"] == pytest.approx(0.5)
    assert feed["observed_s"] == 1800 and feed["total_s"] == 900 and feed["bouts"] == 3
    # pooled as BORIS's plugin pools it: latest stop less earliest start over all observations
    table = bouts_table(three)
    span = table["stop_s"].max() - table["start_s"].min()
    assert 100 * feed["total_s"] / span == pytest.approx(150)


def test_one_session_is_what_boris_says():
    events, seen = session("s")
    budget = time_budget(EventLog(events, {"s": seen}))
    frame = pd.DataFrame(
        [{"Behavior": e.behavior, "Start": e.start_s, "Stop": e.stop_s} for e in events if not e.point]
    )
    span = frame["Stop"].max() - frame["Start"].min()
    for behavior, part in frame.groupby("Behavior"):
        ours = row(budget, str(behavior))
        duration = part["Stop"] - part["Start"]
        assert ours["share_of_observed"] == pytest.approx(duration.sum() / span)
        assert ours["mean_s"] == pytest.approx(duration.mean())
        assert ours["bouts"] == len(part)
    call = row(budget, "call")
    assert call["bouts"] == 2 and math.isnan(call["total_s"]) and math.isnan(call["share_of_observed"])
    assert call["gap_mean_s"] == pytest.approx(60) and call["latency_s"] == pytest.approx(10)


def test_time_out_of_view_leaves_the_denominator():
    events = [Event("s", "a", "feed", 0, 30), Event("s", "a", "hidden", 30, 90)]
    log = EventLog(events, {"s": Observation("s", 0, 120)})
    budget = time_budget(log, out_of_view=["hidden"])
    assert row(budget, "feed")["share_of_observed"] == pytest.approx(0.5)
    assert "hidden" not in set(budget["behavior"])
    assert observed_seconds(log, out_of_view=["hidden"]) == {("s", "a"): 60.0}


def test_behaviours_without_an_event_are_listed():
    events, seen = session("s")
    log = EventLog(events, {"s": seen}, behaviors=["feed", "rest", "call", "fight"])
    fight = row(time_budget(log), "fight")
    assert fight["bouts"] == 0 and fight["share_of_observed"] == 0 and math.isnan(fight["latency_s"])


def test_bouts_at_the_edge_are_censored():
    events, seen = session("s")
    table = bouts_table(EventLog(events, {"s": seen})).set_index("behavior")
    assert bool(table.loc["feed", "censored_start"]) and not bool(table.loc["feed", "censored_stop"])
    assert bool(table.loc["rest", "censored_stop"])
    assert not table.loc["call", "censored_start"].any()


def test_gaps_are_within_observation_and_subject():
    events = [Event("s", "a", "dig", 0, 1), Event("s", "a", "dig", 4, 5), Event("t", "a", "dig", 9, 10),
              Event("s", "b", "dig", 2, 3)]  # fmt: skip
    log = EventLog(events, {n: Observation(n, 0, 20) for n in "st"})
    gaps = bouts_table(log).set_index(["observation", "subject"])["gap_before_s"].dropna()
    assert gaps.to_dict() == {("s", "a"): 3.0}


def test_transitions_within_subject_and_without_repeats():
    codes = "ABABBC"
    events = [Event("s", "a", c, i, i + 1) for i, c in enumerate(codes)] + [Event("s", "b", "C", 0, 1)]
    log = EventLog(events, {"s": Observation("s", 0, 10)})
    counts = transitions(log)
    assert counts.loc["A", "B"] == 2 and counts.loc["B", "A"] == 1 and counts.loc["B", "C"] == 1
    assert counts.to_numpy().sum() == 4
    assert transitions(log, repeats=True).loc["B", "B"] == 1
    shares = shares_of_next(counts)
    assert shares.loc["B"].sum() == pytest.approx(1) and shares.loc["C"].isna().all()


def test_a_fixed_order_is_more_than_chance():
    events = [Event("s", "a", "ABC"[i % 3], i, i + 1) for i in range(60)]
    p = more_than_chance(transitions(EventLog(events, {"s": Observation("s", 0, 60)})), permutations=200)
    assert p.loc["A", "B"] < 0.02 and p.loc["B", "A"] == 1


def test_bins_add_up_to_the_budget(three):
    rows = binned(three, 45.0)
    budget = time_budget(three)
    for behavior in ("feed", "rest", "call"):
        mine = rows[rows["behavior"] == behavior]
        assert mine["bouts"].sum() == row(budget, behavior)["bouts"]
        if behavior != "call":
            assert mine["total_s"].sum() == pytest.approx(row(budget, behavior)["total_s"])
    assert rows[rows["behavior"] == "feed"]["observed_s"].sum() == pytest.approx(1800)


def test_overlapping_states_count_once():
    events = [Event("s", "a", "x", 0, 10), Event("s", "a", "x", 5, 12), Event("s", "a", "x", 20, 21)]
    assert union_seconds(events) == 13


def test_frame_labels_become_events_with_the_right_times():
    labels = np.array(["dig"] * 3 + ["swim"] * 2 + [""] * 1 + ["dig"] * 4)
    recording = Recording("r", np.zeros((10, 1, 1, 2)), 10.0, ["n"], ["f"], group="fish", labels=labels)
    log = log_of([recording])
    digs = log.of("r", "fish", "dig")
    assert [(e.start_s, e.stop_s) for e in digs] == [(0.0, 0.3), (0.6, 1.0)]
    assert row(time_budget(log, out_of_view=["unscored"]), "dig", "fish")["share_of_observed"] == pytest.approx(7 / 9)

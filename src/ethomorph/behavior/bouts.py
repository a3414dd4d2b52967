"""From scored events to what ethologists publish: bouts, latencies, gaps, budgets, transitions, rates.

Shares are of *observed* time: what was watched of a subject, over all its observations, less the time in which it was
out of view. A bout that touches the edge of the observation is censored: its duration is a lower bound, and that is
said. Tables are pandas frames in tidy form, times in s.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pandas as pd

from ethomorph.core.events import Event, EventLog, Observation
from ethomorph.core.recordings import Recording

EDGE_S = 1e-3  # a bout that comes so near to the observation's edge touches it
BUDGET_COLUMNS = (
    "subject", "behavior", "bouts", "rate_per_min", "total_s", "share_of_observed", "mean_s", "median_s", "sd_s",
    "shortest_s", "longest_s", "censored", "latency_s", "gap_mean_s", "gap_sd_s", "observations", "observed_s",
)  # fmt: skip


def bouts_table(log: EventLog) -> pd.DataFrame:
    """A row a bout or point: where, whose, what, when, how long, whether its edges were seen, and the gap before it.

    ``gap_before_s`` is the time since the same subject's last bout of the same behaviour in the same observation.
    """
    rows = []
    last: dict[tuple[str, str, str], float] = {}
    for event in log.events:
        seen = log.observations[event.observation]
        key = (event.observation, event.subject, event.behavior)
        before = last.get(key)
        last[key] = max(event.stop_s, before if before is not None else -math.inf)
        rows.append(
            {
                "observation": event.observation, "subject": event.subject, "behavior": event.behavior,
                "kind": "point" if event.point else "state", "start_s": event.start_s, "stop_s": event.stop_s,
                "duration_s": math.nan if event.point else event.seconds,
                "censored_start": not event.point and event.start_s <= seen.start_s + EDGE_S,
                "censored_stop": not event.point and event.stop_s >= seen.stop_s - EDGE_S,
                "gap_before_s": math.nan if before is None else event.start_s - before,
                "modifiers": event.modifiers,
            }
        )  # fmt: skip
    columns = ["observation", "subject", "behavior", "kind", "start_s", "stop_s", "duration_s", "censored_start",
               "censored_stop", "gap_before_s", "modifiers"]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def observed_seconds(log: EventLog, *, out_of_view: Sequence[str] = ()) -> dict[tuple[str, str], float]:
    """Seconds for which each subject was watched in each observation, less its states of `out_of_view`.

    Every subject counts as watched in every observation in which it, or no particular subject, was scored.
    """
    found = {}
    for name, seen in log.observations.items():
        here = {e.subject for e in log.of(name)} or set(log.subjects)
        for subject in here:
            hidden = [e for e in log.of(name, subject) if e.behavior in out_of_view and not e.point]
            found[name, subject] = seen.seconds - union_seconds(hidden)
    return found


def time_budget(log: EventLog, *, out_of_view: Sequence[str] = (), behaviors: Sequence[str] = ()) -> pd.DataFrame:
    """A row a subject and behaviour, behaviours without an event included: counts, durations, shares, latency, gaps.

    Parameters
    ----------
    out_of_view : states in which the subject could not be watched; they leave the observed time.
    behaviors : which to list; all that the log knows where left out.

    Notes
    -----
    ``share_of_observed`` divides by the sum of what was watched of that subject over all observations. BORIS's
    time-budget plugin (0.3.0) divides by latest stop less earliest start over all observations pooled, so three
    sessions of ten minutes, half of each spent feeding, come out as 150 %; here they are 50 %. Where there is one
    observation that begins and ends with an event, both agree. ``latency_s`` is the mean over the observations in
    which the behaviour occurred, from the observation's start. Standard deviations divide by n - 1.
    """
    watched = observed_seconds(log, out_of_view=out_of_view)
    wanted = [b for b in (behaviors or log.behaviors) if b not in out_of_view]
    by_key: dict[tuple[str, str], list[Event]] = defaultdict(list)
    for event in log.events:
        by_key[event.subject, event.behavior].append(event)
    gaps = bouts_table(log).groupby(["subject", "behavior"])["gap_before_s"]
    gap_of = {key: values.dropna().to_numpy() for key, values in gaps}
    rows = []
    for subject in log.subjects:
        mine = {name: s for (name, who), s in watched.items() if who == subject}
        total = sum(mine.values())
        for behavior in wanted:
            events = by_key.get((subject, behavior), [])
            rows.append(
                {"subject": subject, "behavior": behavior}
                | described(events, log, total)
                | gap_figures(gap_of.get((subject, behavior), np.zeros(0)))
                | {"observations": len(mine), "observed_s": total}
            )
    return pd.DataFrame(rows, columns=list(BUDGET_COLUMNS))


def described(events: list[Event], log: EventLog, observed: float) -> dict[str, float]:
    """Figures of one subject's events of one behaviour."""
    durations = np.array([e.seconds for e in events if not e.point])
    states = bool(len(durations)) or not events
    first: dict[str, float] = {}
    for event in events:
        start = event.start_s - log.observations[event.observation].start_s
        first[event.observation] = min(first.get(event.observation, math.inf), start)
    edges = [log.observations[e.observation] for e in events]
    censored = sum(
        not e.point and (e.start_s <= o.start_s + EDGE_S or e.stop_s >= o.stop_s - EDGE_S)
        for e, o in zip(events, edges, strict=True)
    )
    some = len(durations) > 0
    total = sum(union_seconds([e for e in events if e.observation == name]) for name in first)
    return {
        "bouts": len(events),
        "rate_per_min": 60 * len(events) / observed if observed > 0 else math.nan,
        "total_s": total if states else math.nan,
        "share_of_observed": total / observed if states and observed > 0 else math.nan,
        "mean_s": float(durations.mean()) if some else math.nan,
        "median_s": float(np.median(durations)) if some else math.nan,
        "sd_s": float(durations.std(ddof=1)) if len(durations) > 1 else math.nan,
        "shortest_s": float(durations.min()) if some else math.nan,
        "longest_s": float(durations.max()) if some else math.nan,
        "censored": censored,
        "latency_s": float(np.mean(list(first.values()))) if first else math.nan,
    }


def gap_figures(gaps: np.ndarray) -> dict[str, float]:
    """Mean and standard deviation of the gaps between bouts."""
    return {
        "gap_mean_s": float(gaps.mean()) if len(gaps) else math.nan,
        "gap_sd_s": float(gaps.std(ddof=1)) if len(gaps) > 1 else math.nan,
    }


def transitions(
    log: EventLog, *, repeats: bool = False, behaviors: Sequence[str] = (), longest_gap_s: float = math.inf
) -> pd.DataFrame:
    """How often each behaviour was followed by each other, within subject and observation; rows precede columns.

    Parameters
    ----------
    repeats : whether a behaviour may follow itself.
    longest_gap_s : a next event that starts later than this after the last one's end does not follow it.
    """
    names = list(behaviors) or log.behaviors
    place = {name: i for i, name in enumerate(names)}
    counts = np.zeros((len(names), len(names)), int)
    runs: dict[tuple[str, str], list[Event]] = defaultdict(list)
    for event in log.events:
        if event.behavior in place:
            runs[event.observation, event.subject].append(event)
    for events in runs.values():
        ordered = sorted(events, key=lambda e: (e.start_s, e.stop_s))
        for a, b in pairwise(ordered):
            if (repeats or a.behavior != b.behavior) and b.start_s - a.stop_s <= longest_gap_s:
                counts[place[a.behavior], place[b.behavior]] += 1
    return pd.DataFrame(counts, index=pd.Index(names, name="from"), columns=pd.Index(names, name="to"))


def shares_of_next(counts: pd.DataFrame) -> pd.DataFrame:
    """Rows of a transition table divided by their sum; a behaviour that nothing follows stays empty (NaN)."""
    total = counts.sum(axis=1)
    return counts.div(total.where(total > 0), axis=0)


def more_than_chance(counts: pd.DataFrame, *, permutations: int = 999, seed: int = 0) -> pd.DataFrame:
    """Probability of as many transitions or more, were each behaviour followed by whatever follows others.

    Sequences are not stored in a table of counts, so the followers are dealt anew to the predecessors, a pair of equal
    behaviours being dealt again where the table has none on its diagonal. One-sided, ``(1 + hits) / (1 + deals)``.
    """
    table = counts.to_numpy()
    self_allowed = bool(np.diag(table).any())
    before = np.repeat(np.arange(len(table)), table.sum(1))
    after = np.concatenate([np.repeat(np.arange(len(table)), row) for row in table]) if len(before) else before
    rng = np.random.default_rng(seed)
    reached = np.zeros(table.shape, int)
    for _ in range(permutations):
        dealt = rng.permutation(after)
        for _ in range(100):
            same = np.flatnonzero(before == dealt)
            if self_allowed or not len(same):
                break
            swap = rng.integers(len(dealt), size=len(same))
            dealt[same], dealt[swap] = dealt[swap], dealt[same].copy()
        again = np.zeros(table.shape, int)
        np.add.at(again, (before, dealt), 1)
        reached += again >= table
    return pd.DataFrame((1 + reached) / (1 + permutations), index=counts.index, columns=counts.columns)


def binned(log: EventLog, seconds: float, *, out_of_view: Sequence[str] = ()) -> pd.DataFrame:
    """A row a subject, behaviour and bin of time: bouts that begin in it, time spent, and observed time.

    The last bin of an observation may be shorter; ``observed_s`` says by how much.
    """
    if not seconds > 0:
        raise ValueError(f"bins of {seconds} s")
    rows = []
    for name, seen in log.observations.items():
        subjects = sorted({e.subject for e in log.of(name)}) or log.subjects
        for start in np.arange(seen.start_s, seen.stop_s - EDGE_S, seconds):
            stop = min(start + seconds, seen.stop_s)
            for subject in subjects:
                inside = [clipped(e, start, stop) for e in log.of(name, subject)]
                hidden = union_seconds([e for e in inside if e is not None and e.behavior in out_of_view])
                watched = stop - start - hidden
                for behavior in (b for b in log.behaviors if b not in out_of_view):
                    mine = [e for e in inside if e is not None and e.behavior == behavior]
                    begun = sum(start <= e.start_s < stop for e in log.of(name, subject, behavior))
                    spent = union_seconds(mine)
                    rows.append(
                        {
                            "observation": name, "subject": subject, "behavior": behavior, "bin_start_s": float(start),
                            "bouts": begun, "total_s": spent, "observed_s": watched,
                            "share_of_observed": spent / watched if watched > 0 else math.nan,
                            "rate_per_min": 60 * begun / watched if watched > 0 else math.nan,
                        }
                    )  # fmt: skip
    return pd.DataFrame(rows)


def clipped(event: Event, start: float, stop: float) -> Event | None:
    """The part of an event inside a stretch of time, None where there is none."""
    a, b = max(event.start_s, start), min(event.stop_s, stop)
    if event.point:
        return event if start <= event.start_s < stop else None
    return Event(event.observation, event.subject, event.behavior, a, b) if b > a else None


def union_seconds(events: Sequence[Event]) -> float:
    """Time covered by states; where two overlap, time counts once."""
    total, reached = 0.0, -math.inf
    for start, stop in sorted((e.start_s, e.stop_s) for e in events if not e.point):
        total += max(0.0, stop - max(start, reached))
        reached = max(reached, stop)
    return total


def log_of(recordings: Sequence[Recording], *, leave_out: Sequence[str] = ()) -> EventLog:
    """Frame labels as events: a state a run, the recording as observation, its group as subject.

    Frames that were not scored leave the observed time as the state ``unscored``.
    """
    from ethomorph.behavior.segments import segments

    events, observations, names = [], {}, []
    for recording in recordings:
        labels = recording.labels if recording.labels is not None else np.full(len(recording), "")
        values, codes = np.unique(np.where(labels == "", UNSCORED_STATE, labels), return_inverse=True)
        for run in segments(codes):
            name = str(values[run.code])
            if name not in leave_out:
                events.append(
                    Event(recording.name, recording.group, name, run.start / recording.fps, run.stop / recording.fps)
                )
                names.append(name)
        observations[recording.name] = Observation(recording.name, 0.0, recording.seconds)
    return EventLog(events, observations, sorted(set(names)), source="frame labels")


UNSCORED_STATE = "unscored"

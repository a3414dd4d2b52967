"""Do observers agree: second by second, event by event with a tolerance, and by what they would publish.

Kappa and alpha themselves stand in `statistics.agreement`; this brings two or more observers' scores onto one time axis
and takes their events in pairs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ethomorph.core.events import EventLog, frame_labels
from ethomorph.statistics.agreement import cohen_kappa, krippendorff_alpha

REST = "none"
"""What a moment without any state is called."""


@dataclass(frozen=True)
class EventAgreement:
    """Events of two observers taken in pairs.

    Attributes
    ----------
    kappa : of the pairs, an unpaired event standing against "missed" (Bakeman et al. 2009, event alignment).
    matched, only_first, only_second, confused : counts; confused pairs have different codes.
    lag_s : median of second less first start over the matched pairs.
    """

    kappa: float
    matched: int
    only_first: int
    only_second: int
    confused: int
    lag_s: float


def pairwise_kappas(ratings: pd.DataFrame) -> pd.DataFrame:
    """Cohen's kappa of every pair of raters; a column a rater, a row a unit (frame, clip). Rows with gaps are left out.

    Examples
    --------
    >>> table = pd.DataFrame({"a": [0, 0, 1, 1], "b": [0, 1, 1, 1]})
    >>> pairwise_kappas(table).loc["a", "b"]
    0.5
    """
    found = pd.DataFrame(np.eye(ratings.shape[1]), index=ratings.columns, columns=ratings.columns)
    for i, a in enumerate(ratings.columns):
        for b in ratings.columns[i + 1 :]:
            both = ratings[[a, b]].dropna()
            found.loc[a, b] = found.loc[b, a] = cohen_kappa(both[a].tolist(), both[b].tolist())
    return found


def time_unit_agreement(
    logs: dict[str, EventLog], observation: str, subject: str, *, unit_s: float = 1.0
) -> dict[str, Any]:
    """Agreement of two or more observers on one subject, moment by moment.

    Parameters
    ----------
    logs : an `EventLog` an observer.
    unit_s : length of a moment; whoever reports kappa reports this too.

    Returns
    -------
    dict
        ``kappa`` (pairs), ``alpha`` (Krippendorff, all observers), ``per_behavior`` kappas of present against absent
        with prevalence and bias (Byrt et al. 1993), and ``units``.
    """
    stop = min(log.observations[observation].stop_s for log in logs.values())
    start = max(log.observations[observation].start_s for log in logs.values())
    units = math.floor((stop - start) / unit_s + 1e-9)
    columns = {
        who: frame_labels(log.of(observation, subject), units, 1 / unit_s, rest=REST, start_s=start)[0]
        for who, log in logs.items()
    }
    ratings = pd.DataFrame(columns)
    names = sorted(set(ratings.to_numpy().ravel()))
    codes = ratings.apply(lambda column: column.map({n: float(i) for i, n in enumerate(names)}))
    return {
        "units": units,
        "unit_s": unit_s,
        "kappa": pairwise_kappas(ratings),
        "alpha": krippendorff_alpha(codes.to_numpy(float)),
        "per_behavior": per_behavior(ratings, [n for n in names if n != REST]),
    }


def per_behavior(ratings: pd.DataFrame, behaviors: list[str]) -> pd.DataFrame:
    """Kappa of each behaviour against the rest, mean over pairs of observers, with prevalence and bias index."""
    rows = []
    for behavior in behaviors:
        shown = ratings == behavior
        kappas, prevalence, bias = [], [], []
        for i, a in enumerate(shown.columns):
            for b in shown.columns[i + 1 :]:
                kappas.append(cohen_kappa(shown[a].tolist(), shown[b].tolist()))
                both, neither = (shown[a] & shown[b]).mean(), (~shown[a] & ~shown[b]).mean()
                prevalence.append(abs(both - neither))
                bias.append(abs(shown[a].mean() - shown[b].mean()))
        known = [k for k in kappas if math.isfinite(k)]
        rows.append(
            {
                "behavior": behavior,
                "kappa": float(np.mean(known)) if known else math.nan,
                "prevalence_index": float(np.mean(prevalence)),
                "bias_index": float(np.mean(bias)),
            }
        )
    return pd.DataFrame(rows)


def event_agreement(
    first: EventLog, second: EventLog, observation: str, subject: str, *, tolerance_s: float = 1.0
) -> EventAgreement:
    """Pair two observers' events in order of time, none more than `tolerance_s` apart, and compare their codes.

    The pairing maximises the number of equal pairs, then of pairs at all (dynamic programming over both sequences, as
    Needleman and Wunsch 1970).
    """
    a = sorted(first.of(observation, subject), key=lambda e: e.start_s)
    b = sorted(second.of(observation, subject), key=lambda e: e.start_s)
    best = np.zeros((len(a) + 1, len(b) + 1))
    for i in range(1, len(a) + 1):
        for j in range(1, len(b) + 1):
            near = abs(a[i - 1].start_s - b[j - 1].start_s) <= tolerance_s
            gain = (2.0 if a[i - 1].behavior == b[j - 1].behavior else 0.5) if near else -math.inf
            best[i, j] = max(best[i - 1, j], best[i, j - 1], best[i - 1, j - 1] + gain)
    pairs: list[tuple[str, str]] = []
    lags = []
    i, j = len(a), len(b)
    while i and j:
        if best[i, j] == best[i - 1, j]:
            i -= 1
            pairs.append((a[i].behavior, MISSED))
        elif best[i, j] == best[i, j - 1]:
            j -= 1
            pairs.append((MISSED, b[j].behavior))
        else:
            i, j = i - 1, j - 1
            pairs.append((a[i].behavior, b[j].behavior))
            lags.append(b[j].start_s - a[i].start_s)
    pairs += [(e.behavior, MISSED) for e in a[:i]] + [(MISSED, e.behavior) for e in b[:j]]
    said = [x for x, _ in pairs], [y for _, y in pairs]
    return EventAgreement(
        kappa=cohen_kappa(*said) if pairs else math.nan,
        matched=sum(x == y for x, y in pairs),
        only_first=sum(y == MISSED for _, y in pairs),
        only_second=sum(x == MISSED for x, _ in pairs),
        confused=sum(x != y and MISSED not in (x, y) for x, y in pairs),
        lag_s=float(np.median(lags)) if lags else math.nan,
    )


MISSED = "missed"

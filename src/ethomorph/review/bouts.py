"""Bouts of a video as a field holds them: a list of ``{subject, behavior, start_s, stop_s}``, and as an `EventLog`."""

from __future__ import annotations

import math
from typing import Any

from ethomorph.core.events import Event, EventLog
from ethomorph.review.source import Refused

MOST = 20_000
LONGEST_NAME = 200


def bouts_of(log: EventLog, observation: str) -> list[dict[str, Any]]:
    """The events of an observation as the page knows them, in s from the video's beginning."""
    begin = log.observations[observation].start_s
    return [
        {"subject": e.subject, "behavior": e.behavior, "start_s": e.start_s - begin, "stop_s": e.stop_s - begin}
        for e in log.of(observation)
    ]


def checked_bouts(value: Any, seconds: float) -> list[dict[str, Any]]:
    """The list as it will be stored, sorted; raises Refused for bouts that are none or lie outside the video."""
    if not isinstance(value, list) or len(value) > MOST:
        raise Refused(f"bouts are a list of at most {MOST}")
    found = []
    for one in value:
        if not isinstance(one, dict) or set(one) != {"subject", "behavior", "start_s", "stop_s"}:
            raise Refused("a bout is {subject, behavior, start_s, stop_s}")
        for key in ("subject", "behavior"):
            if not isinstance(one[key], str) or len(one[key]) > LONGEST_NAME:
                raise Refused(f"{key} is a text")
        start, stop = one["start_s"], one["stop_s"]
        numbers = all(
            isinstance(v, (int, float)) and not isinstance(v, bool) and math.isfinite(v) for v in (start, stop)
        )
        if not one["behavior"] or not numbers or not 0 <= start <= stop <= seconds + 1:
            raise Refused(f"a bout from {start!r} to {stop!r} s does not fit a video of {seconds:.2f} s")
        found.append({**one, "start_s": round(float(start), 4), "stop_s": round(float(stop), 4)})
    return sorted(found, key=lambda b: (b["start_s"], b["stop_s"], b["subject"], b["behavior"]))


def with_bouts(log: EventLog, observation: str, bouts: list[dict[str, Any]]) -> EventLog:
    """The log with an observation's events replaced; modifiers and comments stay with bouts that did not change."""
    from dataclasses import replace

    begin = log.observations[observation].start_s
    known = {
        (e.subject, e.behavior, round(e.start_s - begin, 4), round(e.stop_s - begin, 4)): e for e in log.of(observation)
    }
    points = {e.behavior for e in log.events if e.point}
    new = []
    for b in bouts:
        start, stop = b["start_s"], b["stop_s"]
        same = known.get((b["subject"], b["behavior"], round(start, 4), round(stop, 4)))
        new.append(
            same or Event(observation, b["subject"], b["behavior"], begin + start, begin + stop,
                          point=start == stop and b["behavior"] in points)
        )  # fmt: skip
    others = [e for e in log.events if e.observation != observation]
    return replace(log, events=[*others, *new], notes=[])

"""From identified trails to a census: who was where and when, the fewest alive, capture histories for mark-recapture.

It counts what was identified; estimating abundance from the histories is the mark-recapture programs' business.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ethomorph.core.files import write_text
from ethomorph.core.prints import PrintTable
from ethomorph.identity.result import Identification


@dataclass
class Census:
    """Who was met where and when.

    Attributes
    ----------
    individuals, sites, sessions : names; sessions in the order of their first mention in sorted order.
    met : (individuals, sites, sessions) trails of each.
    """

    individuals: list[str]
    sites: list[str]
    sessions: list[str]
    met: np.ndarray

    @property
    def alive(self) -> np.ndarray:
        """(sites, sessions) minimum number known alive: met there then, or both before and after (Krebs 1966)."""
        seen = self.met > 0
        before = np.maximum.accumulate(seen, axis=2)
        after = np.maximum.accumulate(seen[:, :, ::-1], axis=2)[:, :, ::-1]
        return (before & after).sum(0)

    @property
    def histories(self) -> list[str]:
        """One text of 0 and 1 an individual, one figure a session, over all sites."""
        seen = self.met.sum(axis=1) > 0
        return ["".join("1" if s else "0" for s in row) for row in seen]

    def rows(self) -> list[dict[str, Any]]:
        """Site, session, individuals met, minimum known alive, trails: one row each."""
        alive = self.alive
        return [
            {"site": site, "session": session, "met": int((self.met[:, i, j] > 0).sum()),
             "known_alive": int(alive[i, j]), "trails": int(self.met[:, i, j].sum())}
            for i, site in enumerate(self.sites) for j, session in enumerate(self.sessions)
        ]  # fmt: skip


def take_census(found: Identification, survey: PrintTable) -> Census:
    """Arrange identified trails by site and session; one of each where the survey names none."""
    names = found.names
    home = {role: _of_trails(survey, role) for role in ("site", "session")}
    sites, where = np.unique(home["site"], return_inverse=True)
    sessions, when = np.unique(home["session"], return_inverse=True)
    met = np.zeros((len(names), len(sites), len(sessions)), dtype=int)
    np.add.at(met, (found.individual, where, when), 1)
    return Census(names, sites.tolist(), sessions.tolist(), met)


def write_histories(census: Census, path: str | Path) -> Path:
    """Write ``individual,ch,<one column a session>``: ``ch`` is what RMark, marked and secr-style scripts read."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["individual", "ch", *census.sessions])
    for name, history in zip(census.individuals, census.histories, strict=True):
        writer.writerow([name, history, *history])
    return write_text(path, stream.getvalue())


def _of_trails(survey: PrintTable, role: str) -> np.ndarray:
    column = survey.attributes.get(role)
    if column is None:
        return np.full(len(survey.trails), f"all {role}s")
    return np.where(survey.of_trails(column) == "", f"no {role}", survey.of_trails(column))

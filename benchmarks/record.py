"""How a benchmark's figures are written down, so that the book can show them all on one page."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ethomorph.core.files import write_json
from ethomorph.study.provenance import Stopwatch, machine, versions

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Claim:
    """One row of the book.

    Attributes
    ----------
    claim : what is said, in one sentence.
    ours, peer : the two figures, with units, from the same run; `peer` names what it is.
    ratio : ours divided by the peer's, where that means something.
    goal : what it had to reach.
    met : whether it did.
    """

    claim: str
    ours: str
    peer: str = ""
    ratio: float | None = None
    goal: str = ""
    met: bool | None = None


def write_result(name: str, claims: list[Claim], *, seed: int | list[int], watch: Stopwatch, **raw: Any) -> Path:
    """Write ``results/<name>.json``: claims first, then the raw figures behind them."""
    header = {
        "name": name,
        "command": f"python -m benchmarks.{name}",
        "minutes": round(watch.seconds / 60, 1),
        "seed": seed,
        "machine": machine(),
        "versions": versions(),
        "claims": [{k: v for k, v in asdict(claim).items() if v not in ("", None)} for claim in claims],
    }
    return write_json(RESULTS / f"{name}.json", header | raw)

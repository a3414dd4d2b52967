"""docs/benchmarks.md from the results: one page, a row a claim, with the command that repeats it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.record import RESULTS
from ethomorph.core.files import write_text

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"

HEADER = """\
# Benchmarks

Every figure here was measured by the script named beside it, ours and the peer's in the same run on the same data; the
JSON under `benchmarks/results/` holds the raw figures, the machine and all versions. `make docs` rebuilds this page.
"""


def main() -> None:
    results = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(RESULTS.glob("*.json"))]
    write_text(PAGE, "\n".join([HEADER, *(chapter(result) for result in results if "claims" in result)]))
    print(PAGE)


def chapter(result: dict[str, Any]) -> str:
    """One script's claims as a Markdown table."""
    host = result["machine"]
    lines = [
        f"## {result['name'].replace('_', ' ').capitalize()}",
        "",
        f"`{result['command']}`, {result['minutes']} minutes on {host['processor']}, {host['cores']} cores, "
        f"seed {result['seed']}.",
        "",
        "| claim | ethomorph | peer | ratio | goal | met |",
        "|---|---|---|---|---|---|",
    ]
    for claim in result["claims"]:
        met = {True: "yes", False: "**no**", None: ""}[claim.get("met")]
        ratio = f"{claim['ratio']:.3g}" if "ratio" in claim else ""
        cells = [claim["claim"], claim["ours"], claim.get("peer", ""), ratio, claim.get("goal", ""), met]
        lines.append("| " + " | ".join(str(c).replace("|", "/") for c in cells) + " |")
    picture = PAGE.parent / "images" / f"{result['name']}.png"
    if picture.exists():
        lines += ["", f"![{result['name'].replace('_', ' ')}](images/{picture.name})"]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()

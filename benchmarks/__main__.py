"""Run every benchmark that this machine can run, one after the other: ``python -m benchmarks [NAME ...]``.

``--list`` says what each one shows and how many minutes it took when it was last recorded.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

from benchmarks.record import RESULTS

HERE = Path(__file__).parent
DATA = HERE.parents[1] / "shared" / "data"
NOT_BENCHMARKS = {"__init__", "__main__", "record", "book"}


def main() -> int:
    known = sorted(path.stem for path in HERE.glob("*.py") if path.stem not in NOT_BENCHMARKS)
    if sys.argv[1:] == ["--list"]:
        print("\n".join(described(name) for name in known))
        return 0
    chosen = sys.argv[1:] or known
    unknown = [name for name in chosen if name not in known]
    if unknown:
        print(f"no benchmark {', '.join(unknown)}; there are: {', '.join(known)}", file=sys.stderr)
        return 2
    failed, left_out = [], []
    for name in chosen:
        print(f"== {described(name)}", file=sys.stderr, flush=True)
        if needs_data(name) and not DATA.is_dir():
            print(f"left out: it needs real data under {DATA}, which are not shipped", file=sys.stderr)
            left_out.append(name)
        elif subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], cwd=HERE.parent, check=False).returncode:
            failed.append(name)
    done = len(chosen) - len(failed) - len(left_out)
    said = f"{done} done, failed: {', '.join(failed) or 'none'}, left out: {', '.join(left_out) or 'none'}"
    print(said, file=sys.stderr)
    return 1 if failed else 0


def described(name: str) -> str:
    """Name, minutes when last recorded, and the first line of the script's docstring."""
    parts = [json.loads(path.read_text(encoding="utf-8")) for path in RESULTS.glob(f"{name}*.json")]
    mine = [part for part in parts if f"benchmarks.{name}" in str(part.get("command", "")).split()]
    minutes = sum(part["minutes"] for part in mine)
    document = ast.get_docstring(ast.parse((HERE / f"{name}.py").read_text(encoding="utf-8"))) or ""
    about = document.splitlines()[0] if document else ""
    return f"{name:16} {f'{minutes:.0f} min' if minutes else 'not yet':>8}  {about}"


def needs_data(name: str) -> bool:
    """Whether a script names the folder of real data beside the checkout."""
    return '"shared"' in (HERE / f"{name}.py").read_text(encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())

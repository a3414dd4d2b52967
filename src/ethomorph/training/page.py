"""The lists in docs/doctor.md, written from the rules and causes: ``python -m ethomorph.training.page docs/doctor.md``.

What stands between a list's markers is replaced, the rest of the page is left as it is.
"""

from __future__ import annotations

import ast
import sys
from importlib import import_module
from pathlib import Path

from ethomorph.core.files import write_text
from ethomorph.training.causes import CAUSES
from ethomorph.training.changes import CHANGES
from ethomorph.training.rules import rules


def rules_list() -> str:
    """A heading a rule, with its docstring: what it measures, thresholds and where they come from."""
    parts = []
    for name in rules():
        module = import_module(f"ethomorph.training.rules.{name}")
        text = " ".join((module.__doc__ or "").split())
        remedies = remedies_in(Path(module.__file__ or ""))
        parts.append(f"### {name.replace('_', ' ')}\n\n{text}\n" + (f"\n*Remedy:* {remedies}\n" if remedies else ""))
    return "\n".join(parts)


def remedies_in(file: Path) -> str:
    """What the rule tells people to do, where its source says it in plain words."""
    found: list[str] = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        named = isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "").lower() == "remedy"
        value = node.value if named and isinstance(node, ast.Assign) else None
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            found.append(value.value)
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("Finding", "add") and node.args:
            last = node.args[-1]
            if isinstance(last, ast.Constant) and isinstance(last.value, str):
                found.append(last.value)
    return "; or: ".join(dict.fromkeys(found)) + ("." if found else "")


def causes_table() -> str:
    """A row a cause: what speaks for it, what tells it apart, what to do."""
    lines = ["| cause | rules that speak for it | experiment | what to do |", "|---|---|---|---|"]
    for cause in CAUSES:
        marks = ", ".join(dict.fromkeys(mark.rule.replace("_", " ") for mark in cause.marks))
        change = f"{CHANGES[cause.experiment].says}: {cause.supports}" if cause.experiment else ""
        lines.append(f"| {cause.says} | {marks} | {change} | {cause.advice} |")
    return "\n".join(lines) + "\n"


def changes_table() -> str:
    """A row a change that an experiment makes."""
    lines = ["| name | change |", "|---|---|"]
    return "\n".join([*lines, *(f"| `{one.name}` | {one.says} |" for one in CHANGES.values())]) + "\n"


def filled(page: str) -> str:
    """`page` with every list between its markers replaced."""
    for name, text in {"rules": rules_list(), "causes": causes_table(), "changes": changes_table()}.items():
        before, after = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        if before in page and after in page:
            head, _, rest = page.partition(before)
            page = f"{head}{before}\n{text}\n{after}{rest.partition(after)[2]}"
    return page


if __name__ == "__main__":
    path = Path(sys.argv[1])
    write_text(path, filled(path.read_text(encoding="utf-8")))

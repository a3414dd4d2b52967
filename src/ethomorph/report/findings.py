"""Findings, of an audit or of a training, as readable HTML."""

from __future__ import annotations

import html
from typing import Any

from ethomorph.study.task import Part


def findings_part(findings: list[dict[str, Any]], *, none: str) -> Part:
    """Every finding with its evidence, causes and remedy; the sentence `none` where there are none."""
    if not findings:
        return Part(text=none)
    order = {"sick": 0, "warning": 1, "info": 2}
    return Part(html="".join(_finding(f) for f in sorted(findings, key=lambda f: order.get(f["severity"], 3))))


def _finding(finding: dict[str, Any]) -> str:
    when = f" in epoch {finding['epoch']}" if finding.get("epoch") is not None else ""
    rule = finding["rule"].replace("_", " ")
    lines = [f'<p class="rule">{html.escape(finding["severity"])}: {html.escape(rule)}{html.escape(when)}</p>']
    lines.append(f"<p>{html.escape(_words(finding['evidence']))}</p>")
    if finding.get("causes"):
        lines.append(f"<p><b>Likely causes:</b> {html.escape(_words(finding['causes']))}</p>")
    if finding.get("remedy"):
        lines.append(f"<p><b>What to do:</b> {html.escape(_words(finding['remedy']))}</p>")
    return f'<div class="finding {html.escape(finding["severity"])}">{"".join(lines)}</div>'


def _words(value: Any) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{key.replace('_', ' ')}: {_words(v)}" for key, v in value.items())
    if isinstance(value, (list, tuple)):
        return "; ".join(_words(v) for v in value)
    return f"{value:.4g}" if isinstance(value, float) else str(value)

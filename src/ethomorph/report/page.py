"""One self-contained HTML page: no script, no network, pictures inside, readable in light, dark and on paper."""

from __future__ import annotations

import base64
import html
from importlib import resources
from pathlib import Path

import pandas as pd

from ethomorph.core.files import write_text
from ethomorph.study.task import Chapter, Part

MEDIA_TYPES = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".svg": "image/svg+xml"}


def write_page(path: str | Path, *, title: str, subtitle: str, chapters: list[Chapter], lead: str = "") -> Path:
    """Write chapters as one HTML file.

    Parameters
    ----------
    lead : HTML that stands above the chapters, such as the cards of the main numbers; already escaped.
    """
    style = resources.files("ethomorph.report").joinpath("page.css").read_text(encoding="utf-8")
    contents = "".join(f'<a href="#{_anchor(c.title)}">{html.escape(c.title)}</a>' for c in chapters)
    body = "\n".join(_chapter(chapter) for chapter in chapters)
    return write_text(
        path,
        f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{html.escape(title)}</title>
<style>{style}</style>
</head>
<body>
<header><p class="brand">ethomorph</p><h1>{html.escape(title)}</h1><p class="subtitle">{html.escape(subtitle)}</p>
<nav aria-label="Contents">{contents}</nav></header>
<main>
{lead}
{body}
</main>
</body>
</html>
""",
    )


def card(label: str, value: str, detail: str = "", tone: str = "") -> str:
    """A main number as a card; `tone` is healthy, warning, sick or empty."""
    return (
        f'<div class="card {html.escape(tone)}"><p class="label">{html.escape(label)}</p>'
        f'<p class="value">{html.escape(value)}</p><p class="detail">{html.escape(detail)}</p></div>'
    )


def cards(items: list[str]) -> str:
    return f'<section class="cards" aria-label="Main figures">{"".join(items)}</section>'


def _chapter(chapter: Chapter) -> str:
    parts = "\n".join(_part(part) for part in chapter.parts)
    return f'<section id="{_anchor(chapter.title)}"><h2>{html.escape(chapter.title)}</h2>\n{parts}\n</section>'


def _part(part: Part) -> str:
    title = f"<h3>{html.escape(part.title)}</h3>" if part.title else ""
    caption = html.escape(part.caption)
    if part.figure is not None:
        alt = html.escape(part.caption or part.title or "figure")
        return (
            f'{title}<figure><img src="{embedded(part.figure)}" alt="{alt}"><figcaption>{caption}</figcaption></figure>'
        )
    if part.table is not None:
        note = f'<p class="caption">{caption}</p>' if caption else ""
        return f"{title}{table_html(part.table)}{note}"
    if part.html:
        return f"{title}{part.html}"
    return f"{title}<p>{html.escape(part.text)}</p>"


def table_html(table: pd.DataFrame) -> str:
    """A table with numbers aligned right; the first column is the row's heading."""
    head = "".join(f'<th scope="col">{html.escape(str(c))}</th>' for c in table.columns)
    rows = []
    for record in table.itertuples(index=False):
        first, *rest = ("" if v is None or v != v else str(v) for v in record)
        cells = "".join(f'<td class="{"number" if _is_number(v) else "words"}">{html.escape(v)}</td>' for v in rest)
        rows.append(f'<tr><th scope="row">{html.escape(first)}</th>{cells}</tr>')
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'


def embedded(path: Path) -> str:
    """A picture file as a data URL."""
    kind = MEDIA_TYPES[path.suffix.lower()]
    return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"


def _anchor(title: str) -> str:
    return "".join(c if c.isalnum() else "-" for c in title.lower())


def _is_number(text: str) -> bool:
    return text[:1].isdigit() or text[:2].lstrip("-−")[:1].isdigit()

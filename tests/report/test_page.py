from __future__ import annotations

import base64

import pandas as pd

from ethomorph.report.findings import findings_part
from ethomorph.report.page import card, cards, table_html, write_page
from ethomorph.report.run import metric_table
from ethomorph.study.task import Chapter, Part

PIXEL = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==")


def test_names_from_files_cannot_break_the_page(tmp_path):
    bad = "<script>alert(1)</script>"
    (tmp_path / "x.png").write_bytes(PIXEL)
    finding = {"rule": bad, "severity": "sick", "epoch": 1, "evidence": {bad: bad}, "causes": [bad], "remedy": bad}
    parts = [
        Part(text=bad),
        Part(table=pd.DataFrame({bad: [bad]})),
        Part(figure=tmp_path / "x.png", caption=bad),
        findings_part([finding], none=""),
    ]
    lead = cards([card(bad, bad, bad, bad)])
    page = write_page(
        tmp_path / "r.html", title=bad, subtitle=bad, lead=lead, chapters=[Chapter(bad, parts)]
    ).read_text()
    assert "<script" not in page
    assert page.count("&lt;script&gt;") >= 10
    assert "data:image/png;base64," in page


def test_a_missing_metric_shows_its_reason():
    baseline = {"value": 9.0, "low": None, "high": None, "unit": "px", "n": 3, "note": "3 groups"}
    scores = {
        "metrics": {
            "mean_error": {"value": None, "reason": "no specimen was found", "n": 0},
            "recall": {"value": 0.0, "low": 0.0, "high": 0.1, "unit": "", "n": 9},
        },
        "baselines": {"mean_shape": {"mean_error": baseline}},
    }
    table = metric_table(scores)
    assert table["value"].tolist() == ["none", "0"]
    assert table["95 % interval"].tolist() == ["no specimen was found", "0 to 0.1"]
    assert table["baseline: mean shape"].tolist() == ["9 px", ""]


def test_numbers_stand_right_and_words_left():
    text = table_html(pd.DataFrame({"a": ["x"], "b": ["-1.5"], "c": ["none"], "d": ["1e-3"]}))
    assert text.count('class="number"') == 2
    assert text.count('class="words"') == 1

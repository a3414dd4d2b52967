"""The page about the doctor lists every rule and cause as they are."""

from __future__ import annotations

from pathlib import Path

from ethomorph.training.causes import CAUSES
from ethomorph.training.changes import CHANGES
from ethomorph.training.page import filled
from ethomorph.training.rules import rules

PAGE = Path(__file__).resolve().parents[2] / "docs" / "doctor.md"


def test_the_page_is_up_to_date():
    """If not: python -m ethomorph.training.page docs/doctor.md"""
    page = PAGE.read_text(encoding="utf-8")
    assert filled(page) == page
    assert all(f"### {name.replace('_', ' ')}\n" in page for name in rules())


def test_causes_name_rules_and_changes_that_exist():
    for cause in CAUSES:
        assert {mark.rule for mark in cause.marks} <= set(rules()), cause.name
        assert not cause.experiment or cause.experiment in CHANGES
        assert cause.supports in ("helps", "same", "fails")
    explained = {mark.rule for cause in CAUSES for mark in cause.marks}
    assert set(rules()) <= explained  # no finding without a cause

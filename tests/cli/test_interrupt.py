"""Ctrl-C ends a command with a line that says so, and with exit code 130."""

from __future__ import annotations

import pytest
import typer

from ethomorph.cli import app as cli
from ethomorph.core.errors import Interrupted


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        (KeyboardInterrupt(), "stopped by Ctrl-C; what was finished is on disk"),
        (Interrupted("go on with X"), "go on with X"),
    ],
)
def test_a_stop_is_told(monkeypatch, capsys, raised, said):
    one = typer.Typer()

    @one.command()
    def work() -> None:
        raise raised

    monkeypatch.setattr(cli, "app", one)
    assert cli.execute([]) == 130
    assert capsys.readouterr().err.strip() == said

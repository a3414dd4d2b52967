"""Trials in a journal, in SQLite, on a server: the same sweep, and one kind of file to a sweep."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from ethomorph.core.errors import InputError
from ethomorph.workflow.sweep import sweep
from ethomorph.workflow.sweep_storage import open_storage


@pytest.fixture
def space(tmp_path):
    path = tmp_path / "rates.toml"
    path.write_text('["settings.learning_rate"]\nlow = 1e-4\nhigh = 1e-1\nlog = true\n')
    return path


def test_a_journal_is_taken_up_without_asking(toy_study, space):
    study = toy_study("max_epochs = 1\n")
    first = sweep(study, space, trials=2, storage="journal", progress=False)
    assert (first.folder / "sweep.journal").exists() and not (first.folder / "sweep.sqlite").exists()
    assert len(sweep(study, space, trials=3, progress=False).table) == 3
    with pytest.raises(InputError, match="begun with journal, not sqlite"):
        sweep(study, space, trials=4, storage="sqlite", progress=False)


@pytest.mark.parametrize(
    ("wish", "said"),
    [("mysql", "use sqlite, journal or a URL"), ("nothing://here", "here: the database cannot be used")],
)
def test_other_storages_are_refused_in_one_line(tmp_path, wish, said):
    with pytest.raises(InputError, match=said) as caught:
        open_storage(tmp_path, wish)
    assert "\n" not in str(caught.value)


def test_two_sweeps_on_a_postgresql_server(toy_study, space, postgresql):
    study = toy_study("max_epochs = 1\n")
    first = sweep(study, space, trials=2, storage=postgresql, progress=False)
    second = sweep(study, space, trials=1, name="other", storage=postgresql, progress=False)
    assert (len(first.table), len(second.table)) == (2, 1)
    assert len(sweep(study, space, trials=3, storage=postgresql, progress=False).table) == 3
    with pytest.raises(InputError, match="cannot be used"):
        open_storage(study, postgresql.replace("postgres@", "nobody@"))


@pytest.fixture
def postgresql(tmp_path):
    """A server of its own on a socket in a folder, where PostgreSQL and its driver are installed."""
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    found = [*Path("/usr/lib/postgresql").glob("*/bin"), *(Path(p).parent for p in [shutil.which("initdb")] if p)]
    programs = next((folder for folder in found if (folder / "initdb").exists()), None)
    if programs is None:
        pytest.skip("PostgreSQL is not installed here")
    with tempfile.TemporaryDirectory(prefix="pg") as name:  # a socket's path has to be short
        folder = Path(name)
        run = ["runuser", "-u", "postgres", "--"] if Path("/root").owner() == "root" and _is_root() else []
        if run:
            shutil.chown(folder, "postgres")
        begun = subprocess.run(
            [*run, programs / "initdb", "-D", folder / "data", "-U", "postgres", "-A", "trust"], capture_output=True,
            text=True, check=False, cwd=folder,
        )  # fmt: skip
        if begun.returncode:
            pytest.skip(f"PostgreSQL cannot be started here: {begun.stderr[-200:]}")
        control = [*run, programs / "pg_ctl", "-D", folder / "data", "-w"]
        options = f"-k {folder} -c listen_addresses=''"
        subprocess.run([*control, "-o", options, "-l", folder / "log", "start"], check=True, capture_output=True)
        try:
            yield f"postgresql+psycopg://postgres@/postgres?host={folder}"
        finally:
            subprocess.run([*control, "-m", "immediate", "stop"], check=True, capture_output=True)


def _is_root() -> bool:
    import os

    return os.geteuid() == 0

"""The same store on a real PostgreSQL, where writers do not queue behind one lock."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ethomorph.review.accounts import Gate, people_of, set_person, set_role
from ethomorph.review.database import connect
from ethomorph.review.store import Conflict, Store, Wanted


def program(name: str) -> str | None:
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)
    return str(found[0]) if found else shutil.which(name)


@pytest.fixture(scope="module")
def url(tmp_path_factory) -> Iterator[str]:
    """A PostgreSQL of our own in a temporary folder, or the one that ETHOMORPH_TEST_POSTGRES names."""
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    if given := os.environ.get("ETHOMORPH_TEST_POSTGRES"):
        yield given
        return
    initdb, pg_ctl = program("initdb"), program("pg_ctl")
    if initdb is None or pg_ctl is None:
        pytest.skip("no PostgreSQL on this machine")
    folder = tmp_path_factory.mktemp("postgres")
    user: list[str] = []
    if os.getuid() == 0:  # PostgreSQL refuses to run as root
        if shutil.which("runuser") is None or subprocess.run(["id", "postgres"], capture_output=True).returncode:
            pytest.skip("PostgreSQL does not run as root, and there is no user postgres")
        shutil.chown(folder, "postgres")
        for parent in list(folder.parents)[:3]:
            if parent.owner() == "root" and parent != Path("/tmp"):
                parent.chmod(parent.stat().st_mode | 0o055)
        user = ["runuser", "-u", "postgres", "--"]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    data = folder / "data"
    made = subprocess.run([*user, initdb, "-D", str(data), "-U", "lab", "-A", "trust"], capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"initdb: {made.stderr.strip()[-200:]}")
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
    control = [*user, pg_ctl, "-D", str(data), "-l", str(folder / "log"), "-w", "-t", "120"]
    if subprocess.run([*control, "-o", options, "start"], capture_output=True).returncode:
        pytest.skip("PostgreSQL did not start")
    yield f"postgresql+psycopg://lab@127.0.0.1:{port}/postgres"
    subprocess.run([*control, "-m", "immediate", "stop"], capture_output=True)


def test_edits_undo_and_conflicts(url):
    store = Store(connect(url), "pg", "task")
    stored = store.edit("a", [Wanted("f", [1.5, 2], 0)], person="ann", key="pg-key-1", native={"f": None})
    assert store.edit("a", [Wanted("f", [1.5, 2], 0)], person="ann", key="pg-key-1", native={}) == stored
    with pytest.raises(Conflict):
        store.edit("a", [Wanted("f", 0, 0)], person="bob", key="pg-key-2", native={})
    assert store.undo("a", person="ann", key="pg-key-3").values["f"][0] is None
    assert store.redo("a", person="ann", key="pg-key-4").values["f"][0] == [1.5, 2]
    assert store.counts() == {"ann": 1}


def test_of_many_at_the_same_field_one_wins(url):
    store = Store(connect(url), "pg", "race")

    def race(i: int) -> bool:
        try:
            store.edit("a", [Wanted("f", i, 0)], person=f"p{i}", key=f"pg-race-{i}", native={})
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(race, range(8)))
    assert sum(won) == 1 and store.values("a")["a"]["f"][0] == won.index(True)


def test_accounts(url):
    engine = connect(url)
    set_person(engine, "ann", "a long enough password")
    set_role(engine, "ann", "pg", "annotate")
    cookie, _ = Gate(engine, None).by_password("ann", "a long enough password")
    assert Gate(engine, None).visitor(cookie).role("pg") == "annotate"
    assert Gate(engine, None).visitor(cookie).role("other") is None
    assert people_of(engine, "pg") == [{"name": "ann", "role": "annotate"}]

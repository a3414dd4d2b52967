"""Ten people edit one study for five minutes, the server is killed ten times; then each acknowledged edit is sought.

Each client drags random landmarks of specimens that it shares with the others, keeps what the server acknowledged, and
sends again under the same key where the connection broke. Killing is ``kill -9``, at random moments.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np

from benchmarks.record import Claim, write_result
from ethomorph.formats.registry import read_landmarks
from ethomorph.phantoms.radiograph import simulate_radiographs
from ethomorph.review.accounts import set_person, set_role
from ethomorph.review.database import connect, sqlite_url
from ethomorph.study.provenance import Stopwatch

PASSWORD = "benchmark password"
TASK = "/api/studies/study/tasks/bones"
HEADER = "x-ethomorph-csrf"


@dataclass
class Person:
    """One client: what it was told is stored, and how long that took."""

    name: str
    acknowledged: dict[str, dict] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    conflicts: int = 0
    repeated: int = 0
    failures: list[str] = field(default_factory=list)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--people", type=int, default=10)
    parser.add_argument("--kills", type=int, default=10)
    asked = parser.parse_args()
    watch = Stopwatch()
    with tempfile.TemporaryDirectory() as scratch:
        study, database = make_study(Path(scratch) / "study"), Path(scratch) / "lab.sqlite"
        people = [Person(f"person {i}") for i in range(asked.people)]
        engine = connect(sqlite_url(database))
        for person in people:
            set_person(engine, person.name, PASSWORD)
            set_role(engine, person.name, "study", "manage" if person is people[0] else "annotate")
        engine.dispose()
        port = free_port()
        server = start(study, database, port)
        over = time.monotonic() + 60 * asked.minutes
        threads = [threading.Thread(target=work, args=(p, port, over, i)) for i, p in enumerate(people)]
        for thread in threads:
            thread.start()
        torn, kills = 0, 0
        rng = random.Random(0)
        for _ in range(asked.kills):
            time.sleep(max(0.0, (over - time.monotonic()) / (asked.kills - kills + 1) * rng.uniform(0.6, 1.2)))
            server.send_signal(signal.SIGKILL)
            server.wait()
            kills += 1
            torn += not is_whole(study)
            server = start(study, database, port)
        for thread in threads:
            thread.join()
        server.send_signal(signal.SIGKILL)
        server.wait()
        lost = [edit for p in people for edit in missing(database, p)]
        report(people, lost, torn + (not is_whole(study)), kills, integrity(database), asked, watch)


def make_study(folder: Path) -> Path:
    sample = simulate_radiographs(20, size=(160, 210), seed=1)
    sample.write(folder)
    (folder / "study.toml").write_text(
        f'[study]\nname = "Study"\n[task.bones]\nkind = "landmarks"\nlabels = "landmarks.tps"\nimages = "images"\n'
        f"names = {json.dumps(sample.landmarks.names)}\n"
    )
    return folder


def start(study: Path, database: Path, port: int) -> subprocess.Popen:
    command = [sys.executable, "-m", "ethomorph", "review", str(study), "--database", str(database), "--accounts"]
    command += ["--no-browser", "--port", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=os.environ | {"OMP_NUM_THREADS": "1"})
    for _ in range(600):
        try:
            httpx.get(f"http://127.0.0.1:{port}/api/session", timeout=5)
            return server
        except httpx.TransportError:
            time.sleep(0.1)
    raise RuntimeError("the server does not start")


def work(person: Person, port: int, over: float, seed: int) -> None:
    """Edit until the time is over; now and then undo, and the first person also writes the native file."""
    rng = random.Random(seed)
    web = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30)
    number = 0
    while time.monotonic() < over:
        try:
            if HEADER not in web.headers:
                sign_in(web, person)
            item = f"{rng.randint(1, 20):04d}_dorsal.png"
            shown = web.get(f"{TASK}/item", params={"name": item})
            if shown.status_code != 200:
                refused(web, person, shown)
                continue
            number += 1
            if seed == 0 and number % 10 == 0:
                web.post(f"{TASK}/write-back")
            send(web, person, over, edit_of(shown.json(), rng, f"{person.name.replace(' ', '-')}-{number:06d}"))
            time.sleep(rng.uniform(0.2, 0.6))  # a quick hand
        except httpx.TransportError:
            time.sleep(0.1)


def edit_of(shown: dict, rng: random.Random, key: str) -> dict:
    chosen = rng.choice([f for f in shown["values"] if f.startswith("point:")])
    point = [round(rng.uniform(0, 200), 3), round(rng.uniform(0, 150), 3)]
    base = shown["values"][chosen]["revision"]
    return {"item": shown["item"], "key": key, "changes": [{"field": chosen, "value": point, "base": base}]}


def send(web: httpx.Client, person: Person, over: float, body: dict) -> None:
    """Send an edit until there is an answer, as the page does."""
    while True:
        begun = time.monotonic()
        try:
            answer = web.post(f"{TASK}/edits", json=body)
        except httpx.TransportError:
            person.repeated += 1
            if time.monotonic() > over + 60:
                return
            time.sleep(0.1)
            continue
        if answer.status_code == 200:
            person.seconds.append(time.monotonic() - begun)
            person.acknowledged[body["key"]] = answer.json() | {"wanted": body["changes"][0]}
        elif answer.status_code == 409:
            person.conflicts += 1
        elif answer.status_code in (401, 429, 503):
            refused(web, person, answer)
            continue
        else:
            person.failures.append(f"{answer.status_code} {answer.text[:80]}")
        return


def sign_in(web: httpx.Client, person: Person) -> None:
    answer = web.post("/api/session", json={"name": person.name, "password": PASSWORD})
    if answer.status_code == 200:
        web.headers[HEADER] = answer.json()["csrf"]
    else:
        refused(web, person, answer)


def refused(web: httpx.Client, person: Person, answer: httpx.Response) -> None:
    if answer.status_code == 401:
        web.headers.pop(HEADER, None)
    elif answer.status_code not in (429, 503):
        person.failures.append(f"{answer.status_code} {answer.text[:80]}")
    time.sleep(0.5)


def missing(database: Path, person: Person) -> list[str]:
    """Acknowledged edits that the database does not hold exactly as they were acknowledged."""
    with sqlite3.connect(database) as connection:
        stored = {
            (key, name): (edit, json.loads(after))
            for key, edit, name, after in connection.execute(
                'select e.key, e.id, c.field, c.after from edit e join "change" c on c.edit = e.id where e.person = ?',
                (person.name,),
            )
        }
    lost = []
    for key, answer in person.acknowledged.items():
        wanted = answer["wanted"]
        if stored.get((key, wanted["field"])) != (answer["edit"], wanted["value"]):
            lost.append(f"{person.name} {key}")
    return lost


def integrity(database: Path) -> str:
    """SQLite's own check, and that each field's value is the one of the last edit that touched it."""
    with sqlite3.connect(database) as connection:
        said = connection.execute("pragma integrity_check").fetchone()[0]
        differing = connection.execute(
            'select count(*) from value v join "change" c on c.edit = v.revision and c.field = v.field '
            "where c.after != v.value"
        ).fetchone()[0]
    return said if differing == 0 else f"{differing} values are not their last edit's"


def is_whole(study: Path) -> bool:
    """Whether the label file can be read and holds every specimen."""
    return len(read_landmarks(study / "landmarks.tps", images=study / "images", gaps="missing")) == 20


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def report(
    people: list[Person],
    lost: list[str],
    torn: int,
    kills: int,
    check: str,
    asked: argparse.Namespace,
    watch: Stopwatch,
) -> None:
    seconds = np.array([s for p in people for s in p.seconds] or [0.0])
    count = sum(len(p.acknowledged) for p in people)
    failures = [f for p in people for f in p.failures]
    ours = f"{len(lost)} of {count} acknowledged edits lost, {torn} files half-written"
    claims = [
        Claim(
            f"{asked.people} people edit one study for {asked.minutes:g} min, the server killed (-9) {kills} times",
            ours,
            goal="no edit lost, no file half-written",
            met=count > 0 and not lost and not torn and check == "ok" and kills >= 10,
        ),
    ]  # fmt: skip
    write_result(
        "review_edits", claims, seed=0, watch=watch, people=len(people), kills=kills, acknowledged=count,
        lost=lost[:20], half_written_files=torn, integrity=check, conflicts=sum(p.conflicts for p in people),
        repeated_after_a_break=sum(p.repeated for p in people), failures=failures[:20], failure_count=len(failures),
        store_ms={q: round(1000 * float(np.quantile(seconds, p)), 1) for q, p in (("median", 0.5), ("p95", 0.95))},
    )  # fmt: skip
    print(ours, check, len(failures), failures[:3])


if __name__ == "__main__":
    main()

"""A small study, the application in this process, a server in a process of its own, and a Chromium."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ethomorph.phantoms.radiograph import simulate_radiographs

fastapi = pytest.importorskip("fastapi", reason="the review page's extra is not installed")

STUDY = """\
[study]
name = "Tiny lizards"
specimens = "specimens.csv"
[task.bones]
kind = "landmarks"
labels = "landmarks.tps"
images = "images"
names = {names}
method = "ert"
[task.bones.grades]
train = ["good"]
[task.bones.scale]
landmarks = ["scale_start", "scale_end"]
mm = 27.0
[task.bones.distances]
femur = ["hip_left", "knee_left"]
"""
CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = ["--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking"]


@pytest.fixture(scope="session")
def lizards(tmp_path_factory) -> Path:
    """A study of 24 lizards; the third has a landmark far from its place, the fifth lacks one. Do not change it."""
    folder = tmp_path_factory.mktemp("review") / "lizards"
    sample = simulate_radiographs(24, size=(220, 290), seed=5, tag_share=0)
    sample.landmarks.specimens[2].points[8] += [45, -30]
    sample.landmarks.specimens[4].points[20] = float("nan")
    sample.write(folder)
    (folder / "study.toml").write_text(STUDY.format(names=sample.landmarks.names))
    return folder


@pytest.fixture
def study(lizards, tmp_path) -> Path:
    """A copy of that study that may be changed."""
    return Path(shutil.copytree(lizards, tmp_path / "lizards"))


@dataclass
class Client:
    """A signed-in client of an application in this process, which speaks in dictionaries."""

    web: object
    csrf: str

    def get(self, path: str, **params):
        return self.web.get(path, params=params)

    def send(self, method: str, path: str, body=None, **params):
        headers = {"x-ethomorph-csrf": self.csrf}
        return self.web.request(method, path, json=body, params=params, headers=headers)


def make_application(paths: list[Path], *, database: str, owner: str | None = "tester"):
    """The application and its gate."""
    from ethomorph.review.accounts import Gate
    from ethomorph.review.app import create_app
    from ethomorph.review.database import connect

    gate = Gate(connect(database), owner)
    return create_app(paths, gate, hosts=frozenset({"testserver"}), cookie="ethomorph_test"), gate


def make_client(app, **how) -> Client:
    from fastapi.testclient import TestClient

    web = TestClient(app, raise_server_exceptions=False)
    answer = web.post("/api/session", json=how)
    assert answer.status_code == 200, answer.text
    return Client(web, answer.json()["csrf"])


@pytest.fixture
def client(study) -> Client:
    """The owner of a page on the small study."""
    app, gate = make_application([study], database=f"sqlite:///{study / 'review.sqlite'}")
    return make_client(app, token=gate.new_token())


class Server:
    """``ethomorph review`` in a process of its own, on a free port."""

    def __init__(self, *arguments: str, port: int = 0) -> None:
        self.arguments = arguments
        self.start(port)

    def start(self, port: int = 0) -> None:
        command = [sys.executable, "-m", "ethomorph", "review", *self.arguments, "--no-browser", "--json"]
        self.process = subprocess.Popen(
            [*command, "--port", str(port)],
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
        )
        assert self.process.stdout is not None
        text = ""
        for line in self.process.stdout:
            text += line
            if line.startswith("}"):
                break
        self.url: str = json.loads(text)["url"]
        self.address = self.url.split("/#")[0]
        self.port = int(self.address.rsplit(":", 1)[1])

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()


@pytest.fixture
def application():
    return make_application


@pytest.fixture
def signed_in():
    return make_client


@pytest.fixture
def start() -> Iterator[Callable[..., Server]]:
    """Start servers, which are stopped at the end."""
    started: list[Server] = []

    def one(*arguments: str, port: int = 0) -> Server:
        started.append(Server(*arguments, port=port))
        return started[-1]

    yield one
    for server in started:
        server.stop()


@pytest.fixture
def server(study, start) -> Server:
    return start(str(study), "--as", "tester")


@pytest.fixture(scope="session")
def browser() -> Iterator[object]:
    """A Chromium that is on this machine; tests that need one are skipped where there is none."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = next((path for name in CHROMIUM if (path := shutil.which(name))), None)
    with sync_api.sync_playwright() as playwright:
        if found is None and not Path(playwright.chromium.executable_path).exists():
            pytest.skip("no Chromium on this machine; tests/review/install-chromium.sh installs Debian's")
        launched = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield launched
        launched.close()


@pytest.fixture
def page(browser) -> Iterator[object]:
    """An empty page that fails the test where the browser reports an error of a script."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    opened = context.new_page()
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.set_default_timeout(60_000)
    yield opened
    context.close()
    assert not errors, errors

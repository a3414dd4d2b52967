"""The built page that is committed is the one that its source gives."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

from ethomorph.review.app import STATIC

WEB = Path(__file__).resolve().parents[2] / "web"


def test_the_build_was_made_from_this_source():
    """Without node: the fingerprint of the source that the build left, see web/vite.config.js."""
    listed = [p.relative_to(WEB).as_posix() for p in (WEB / "src").rglob("*") if p.is_file()]
    digest = hashlib.sha256()
    for name in sorted([*listed, "index.html", "package-lock.json", "vite.config.js"]):
        digest.update(f"{name}\n".encode() + (WEB / name).read_bytes())
    assert (STATIC / "source.sha256").read_text().strip() == digest.hexdigest(), "run `npm run build` in web/"


def test_building_again_gives_the_same_bytes(tmp_path):
    if shutil.which("npm") is None:
        pytest.skip("no npm here; the fingerprint was checked")
    if not (WEB / "node_modules").is_dir():
        pytest.skip("web/node_modules is not installed (npm ci); the fingerprint was checked")
    command = ["npx", "vite", "build", "--outDir", str(tmp_path / "static"), "--logLevel", "error"]
    subprocess.run(command, cwd=WEB, check=True, timeout=240, capture_output=True)
    built = {p.name: p.read_bytes() for p in (tmp_path / "static").iterdir()}
    assert built == {p.name: p.read_bytes() for p in STATIC.iterdir()}


def test_the_page_stays_light():
    assert sum(p.stat().st_size for p in STATIC.iterdir()) < 400_000

"""How fast the review page is: a study of 2,000 pictures opened, a drag stored, a large volume scrolled through.

``python -m benchmarks.review_speed [--no-volume] [--note TEXT]``. Times are of a browser that starts with nothing:
until the first paint, until the first picture stands there with its landmarks, and from a key until the slice is drawn.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil

from benchmarks.record import Claim, write_result
from ethomorph.core.grid import Grid
from ethomorph.core.volume import ScalarVolume
from ethomorph.formats.nrrd import write_nrrd
from ethomorph.formats.registry import write_landmarks
from ethomorph.phantoms.radiograph import simulate_radiographs
from ethomorph.study.provenance import Stopwatch

PICTURES, DRAGS, SLICES, OPENED = 2000, 300, 80, 5
SHAPE = (1616, 534, 701)
FLAGS = ["--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking"]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--no-volume", action="store_true", help="leave the volume of 605 million voxels out")
    parser.add_argument("--note", default="", help="what else the machine did meanwhile")
    asked = parser.parse_args()
    watch = Stopwatch()
    with tempfile.TemporaryDirectory() as scratch:
        figures = landmarks(Path(scratch))
        figures |= {} if asked.no_volume else volume(Path(scratch))
    figures["load_average"] = [round(v, 1) for v in os.getloadavg()]
    figures["note"] = asked.note
    paint = figures["first_paint_s"]["median"]
    claims = [
        Claim(f"A study of {PICTURES} pictures is opened in the browser (page, queue and first picture)",
              f"{figures['open_s']['median']:.2f} s", goal="under 1 s", met=figures["open_s"]["median"] < 1),
        Claim("The page's first paint in a browser that has nothing of it yet", f"{paint:.2f} s", goal="under 1 s",
              met=paint < 1),
        Claim("A drag is stored (95th percentile, committed to disk)", f"{figures['drag_ms']['p95']:.0f} ms",
              goal="under 50 ms", met=figures["drag_ms"]["p95"] < 50),
    ]  # fmt: skip
    if "slices_per_s" in figures:
        claims.append(
            Claim(f"A volume of {' x '.join(map(str, SHAPE))} (uint16) scrolls in the browser, segments overlaid",
                  f"{figures['slices_per_s']['worst axis']:.0f} slices/s, server {figures['server_gib']:.2f} GiB",
                  goal="15 slices/s, under 1 GiB",
                  met=figures["slices_per_s"]["worst axis"] >= 15 and figures["server_gib"] < 1)
        )  # fmt: skip
    write_result("review_speed", claims, seed=0, watch=watch, **figures)
    for claim in claims:
        print(claim.claim, claim.ours, claim.met)


def landmarks(scratch: Path) -> dict[str, Any]:
    folder = scratch / "study"
    sample = simulate_radiographs(40, size=(240, 316), seed=2)
    sample.write(folder)
    specimens = []
    for copy in range(PICTURES // 40):
        for one, name in zip(sample.landmarks, sample.image_names, strict=True):
            new = f"{copy:02d}_{name}"
            if copy:
                shutil.copyfile(folder / "images" / name, folder / "images" / new)
            shift = np.random.default_rng([copy, len(specimens)]).normal(0, 0.6, one.points.shape)
            specimens.append(type(one)(one.points + shift, id=new[:-4], image=new, image_size=one.image_size))
    for name in sample.image_names:
        (folder / "images" / name).rename(folder / "images" / f"00_{name}")
    write_landmarks(type(sample.landmarks)(specimens, sample.landmarks.names), folder / "landmarks.tps")
    (folder / "study.toml").write_text(
        f'[study]\nname = "Study"\n[task.bones]\nkind = "landmarks"\nlabels = "landmarks.tps"\nimages = "images"\n'
        f"names = {json.dumps(sample.landmarks.names)}\n"
    )
    server, url = start(folder)
    try:
        web = signed_in(url)
        path = "/api/studies/study/tasks/bones"
        begun = time.perf_counter()
        web.get(f"{path}/queue").raise_for_status()
        first = time.perf_counter() - begun
        while not web.get(f"{path}/queue").json()["ready"]:
            time.sleep(1)
        ready = time.perf_counter() - begun
        return {
            "first_queue_after_start_s": round(first, 2), "shapes_ready_s": round(ready, 1),
            "drag_ms": drags(web, path), **opened(url.split("/#")[0], web),
        }  # fmt: skip
    finally:
        server.kill()
        server.wait()


@contextmanager
def pages(url: str, web: httpx.Client) -> Iterator[Callable[[], Any]]:
    """Gives empty pages of one browser, each with nothing but the sign-in."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)

        def one() -> Any:
            context = browser.new_context(viewport={"width": 1440, "height": 900})
            context.add_cookies([{"name": c.name, "value": c.value or "", "url": url} for c in web.cookies.jar])
            return context.new_page()

        yield one
        browser.close()


def opened(url: str, web: httpx.Client) -> dict[str, dict[str, float]]:
    """Seconds from asking for the page to its first paint, and to the first picture with its landmarks."""
    seconds, paints = [], []
    with pages(url, web) as new:
        for _ in range(OPENED):
            page = new()
            begun = time.perf_counter()
            page.goto(url, wait_until="commit")
            page.wait_for_selector(".stage[data-ready=yes]", state="attached")
            seconds.append(time.perf_counter() - begun)
            paints.append(page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime") / 1000)
            page.context.close()
    return {"open_s": _summary(seconds), "first_paint_s": _summary(paints)}


def _summary(seconds: list[float]) -> dict[str, float]:
    return {"median": round(float(np.median(seconds)), 3), "worst": round(max(seconds), 3)}


def drags(web: httpx.Client, path: str) -> dict[str, float]:
    """Milliseconds from sending a moved landmark to the acknowledgement that follows the commit."""
    rng, took = random.Random(0), []
    csrf = {"x-ethomorph-csrf": web.get("/api/session").json()["csrf"]}
    items = [row["item"] for row in web.get(f"{path}/queue").json()["items"]]
    for number in range(DRAGS):
        item = rng.choice(items)
        field = "point:snout_tip"
        shown = web.get(f"{path}/item", params={"name": item}).json()["values"][field]
        change = {"field": field, "value": [v + rng.gauss(0, 2) for v in shown["value"]], "base": shown["revision"]}
        body = {"item": item, "key": f"drag-{number:06d}", "changes": [change]}
        begun = time.perf_counter()
        web.post(f"{path}/edits", json=body, headers=csrf).raise_for_status()
        took.append(1000 * (time.perf_counter() - begun))
    return {name: round(float(np.quantile(took, q)), 1) for name, q in (("median", 0.5), ("p95", 0.95), ("worst", 1.0))}


def volume(scratch: Path) -> dict[str, Any]:
    """Slices a second along each axis in the browser and of the server alone, and the server's memory at its height."""
    folder = scratch / "ct"
    (folder / "images").mkdir(parents=True)
    (folder / "labels").mkdir()
    rng = np.random.default_rng(0)
    tile = rng.integers(0, 4000, (8, *SHAPE[1:])).astype(np.uint16)
    array = np.concatenate([tile + np.uint16(4 * i) for i in range(SHAPE[0] // 8)])
    write_nrrd(ScalarVolume(array, Grid(SHAPE, (0.05, 0.05, 0.05))), folder / "images" / "a.nrrd", compress=False)
    labels = np.zeros(SHAPE, np.uint8)
    labels[400:1200, 100:400, 100:600] = 1
    write_nrrd(ScalarVolume(labels, Grid(SHAPE, (0.05, 0.05, 0.05))), folder / "labels" / "a.nrrd", compress=True)
    del array, labels, tile
    (folder / "study.toml").write_text(
        '[study]\nname = "CT"\n[task.skull]\nkind = "segmentation"\nlabels = "labels"\nimages = "images"\n'
    )
    server, url = start(folder)
    try:
        web = signed_in(url)
        path = "/api/studies/ct/tasks/skull"
        begun = time.perf_counter()
        while not web.get(f"{path}/item", params={"name": "a"}).json()["ready"]:
            time.sleep(1)
        cut = time.perf_counter() - begun
        process, alone, most = psutil.Process(server.pid), {}, 0
        for axis, length in zip("zyx", SHAPE, strict=True):
            begun = time.perf_counter()
            for index in np.linspace(0, length - 1, SLICES).astype(int):
                asked = {"name": "a", "axis": axis, "index": int(index)}
                web.get(f"{path}/volume/slice", params=asked).raise_for_status()
            alone[axis] = round(SLICES / (time.perf_counter() - begun), 1)
            most = max(most, process.memory_info().rss)
        shown = scrolled(url.split("/#")[0], web)
        most = max(most, process.memory_info().rss)
        return {
            "slices_per_s": shown | {"worst axis": min(shown.values())}, "slices_per_s_of_the_server_alone": alone,
            "server_gib": round(most / 2**30, 3), "cut_into_planes_s": round(cut, 1),
        }  # fmt: skip
    finally:
        server.kill()
        server.wait()


SCROLL = """async ([axis, number]) => {
  const pane = document.querySelector(`.pane.${axis} canvas[tabindex]`);
  const begun = performance.now();
  for (let i = 0; i < number; i++) {
    const next = String(Number(pane.getAttribute("aria-valuenow")) + 1);
    pane.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowUp", bubbles: true }));
    while (pane.dataset.shown !== next) await new Promise(requestAnimationFrame);
  }
  return (1000 * number) / (performance.now() - begun);
}"""


def scrolled(url: str, web: httpx.Client) -> dict[str, float]:
    """Slices drawn a second along each axis, one key press after the other, none seen before."""
    with pages(url, web) as new:
        page = new()
        page.goto(url)
        page.set_default_timeout(120_000)
        for axis in "zyx":
            page.wait_for_selector(f".pane.{axis} canvas[data-shown]")
        page.wait_for_selector(".pane.solid canvas[data-shown], .pane.solid .hint")
        return {axis: round(page.evaluate(SCROLL, [axis, SLICES]), 1) for axis in "zyx"}


def start(study: Path) -> tuple[subprocess.Popen, str]:
    command = [sys.executable, "-m", "ethomorph", "review", str(study), "--no-browser", "--json", "--port", "0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert server.stdout is not None
    text = ""
    for line in server.stdout:
        text += line
        if line.startswith("}"):
            break
    return server, json.loads(text)["url"]


def signed_in(url: str) -> httpx.Client:
    address, token = url.split("/#token=")
    web = httpx.Client(base_url=address, timeout=600)
    web.post("/api/session", json={"token": token}).raise_for_status()
    return web


if __name__ == "__main__":
    main()

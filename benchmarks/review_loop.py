"""Does looking where the page says pay: predict, correct the 20 worst of the queue, train again, and test.

``python -m benchmarks.review_loop [--rounds N] [--work FOLDER]`` writes ``benchmarks/results/review_loop.json``. Each
round is a lab of its own on simulated radiographs: 20 are labelled, four of those wrongly, 80 are not; 60 more, never
shown to the page, measure the error. Everything goes through the page's interface for programs, as the page itself does
it: start a run, predict, read the queue, move landmarks, write into the study's files, start another run. The person
who corrects has an unsteady hand and a habit at each landmark. Beside the queue's first 20 stand 20 drawn at random
from the same study.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.record import Claim, write_result
from ethomorph.core.files import write_json
from ethomorph.core.landmarks import LandmarkSet
from ethomorph.formats.registry import read_landmarks, write_landmarks
from ethomorph.keypoints.estimator import LandmarkRegressor
from ethomorph.phantoms.observer import draw_observer
from ethomorph.phantoms.radiograph import simulate_radiographs
from ethomorph.statistics.intervals import clustered_interval
from ethomorph.statistics.paired import paired_difference
from ethomorph.study.provenance import Stopwatch

LABELLED, WRONG, POOL, TEST, BUDGET = 20, 4, 80, 60, 20
BIAS_PX, REPEAT_PX = 0.5, 0.8
RULER = ("scale_start", "scale_end")
STUDY = """\
[study]
name = "Loop"
[split]
test = 0.1
validation = 0.0
[task.bones]
kind = "landmarks"
labels = "landmarks.tps"
images = "images"
method = "ert"
names = {names}
[task.bones.scale]
landmarks = ["scale_start", "scale_end"]
mm = 27.0
"""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--work", type=Path, help="finished rounds are kept here and not run again")
    asked = parser.parse_args()
    watch = Stopwatch()
    rounds = []
    for seed in range(asked.rounds):
        kept = asked.work / f"{seed}.json" if asked.work else None
        if kept is not None and kept.is_file():
            rounds.append(json.loads(kept.read_text()))
        else:
            with tempfile.TemporaryDirectory() as scratch:
                rounds.append(one_round(Path(scratch), seed))
        if kept is not None:
            write_json(kept, rounds[-1])
        print(seed, {k: round(float(np.mean(v)), 2) for k, v in rounds[-1]["errors_px"].items()}, flush=True)
    report(rounds, watch)


def one_round(scratch: Path, seed: int) -> dict[str, Any]:
    """A study with few labels, some wrong; errors (px, an animal each) before, after the queue's 20, after any 20."""
    sample = simulate_radiographs(LABELLED + POOL + TEST, size=(240, 316), seed=1000 + seed)
    rng = np.random.default_rng(seed)
    whole = sample.write(scratch / "whole")
    names = sample.landmarks.names
    truth = read_landmarks(whole / "landmarks.tps", images=whole / "images").renamed(names)
    test = truth.subset(range(LABELLED + POOL, len(truth)))
    study, wrong = make_study(scratch / "first" / "loop", truth, rng)
    page = Page(study)
    page.train("before")
    page.predict()
    queue = page.queue()
    page.close()
    errors = {"before": error_of(study / "runs/bones/before", test)}
    at_random = rng.permutation(sorted(queue))[:BUDGET].tolist()
    found = {}
    for arm, chosen in (("worst", queue[:BUDGET]), ("random", at_random)):
        copy = shutil.copytree(study, scratch / arm / "loop", ignore=shutil.ignore_patterns("review.sqlite*"))
        page = Page(copy)
        correct(page, chosen, truth, np.random.default_rng([seed, 1]))
        page.web.post(f"{page.task}/write-back", headers=page.csrf).raise_for_status()
        page.train("after")
        page.close()
        errors[arm] = error_of(copy / "runs/bones/after", test)
        found[arm] = len(set(chosen) & set(wrong))
    seen = np.isfinite(list(errors.values())).all(axis=0)
    return {
        "errors_px": {k: v[seen].round(4).tolist() for k, v in errors.items()},
        "not_found": {k: int(np.isnan(v).sum()) for k, v in errors.items()},
        "wrong_labels_among_corrected": found,
    }


def make_study(folder: Path, truth: LandmarkSet, rng: np.random.Generator) -> tuple[Path, list[str]]:
    """The pictures of the labelled and the pool, and labels by an unsteady hand; the names of those that are wrong."""
    (folder / "images").mkdir(parents=True)
    for specimen in truth.specimens[: LABELLED + POOL]:
        assert specimen.image_path is not None
        shutil.copyfile(specimen.image_path, folder / "images" / specimen.image_path.name)
    person = draw_observer("first", len(truth.names), BIAS_PX, REPEAT_PX, rng)
    labelled = [replace(s, points=person.place(s.points, rng)) for s in truth.specimens[:LABELLED]]
    wrong = rng.permutation(LABELLED)[:WRONG].tolist()
    for turn, i in enumerate(wrong):
        points = labelled[i].points
        if turn % 2:  # the sides taken for each other
            for a, name in enumerate(truth.names):
                if name.endswith("_left"):
                    b = truth.names.index(name.removesuffix("_left") + "_right")
                    points[[a, b]] = points[[b, a]]
        else:  # a slip: from some landmark on, each has the place of the next
            start = int(rng.integers(4, 16))
            points[start:-1] = points[start + 1 :]
    write_landmarks(replace(truth, specimens=labelled), folder / "landmarks.tps")
    (folder / "study.toml").write_text(STUDY.format(names=json.dumps(truth.names)))
    return folder, [str(labelled[i].image) for i in wrong]


class Page:
    """The page's interface for programs, signed in as the owner."""

    task = "/api/studies/loop/tasks/bones"

    def __init__(self, study: Path) -> None:
        from fastapi.testclient import TestClient

        from ethomorph.review.accounts import Gate
        from ethomorph.review.app import create_app
        from ethomorph.review.database import connect, sqlite_url

        self.gate = Gate(connect(sqlite_url(study / "review" / "review.sqlite")), "somebody")
        app = create_app([study], self.gate, hosts=frozenset({"testserver"}), cookie="ethomorph")
        self.web = TestClient(app)
        said = self.web.post("/api/session", json={"token": self.gate.new_token()}).raise_for_status()
        self.csrf = {"x-ethomorph-csrf": said.json()["csrf"]}

    def train(self, run: str) -> None:
        self.web.post(f"{self.task}/runs", json={"name": run}, headers=self.csrf).raise_for_status()
        self._wait()

    def predict(self) -> None:
        self.web.post(f"{self.task}/predict", headers=self.csrf).raise_for_status()
        self._wait()

    def queue(self) -> list[str]:
        """Items in the page's order, once shapes and predictions are in it."""
        while not (shown := self.web.get(f"{self.task}/queue").json())["ready"]:
            time.sleep(0.2)
        return [row["item"] for row in shown["items"]]

    def close(self) -> None:
        self.gate.engine.dispose()

    def _wait(self) -> None:
        while (jobs := self.web.get(f"{self.task}/jobs").json())[-1]["state"] == "running":
            time.sleep(0.5)
        if jobs[-1]["state"] != "done":
            raise RuntimeError("\n".join(jobs[-1]["lines"]))


def correct(page: Page, items: list[str], truth: LandmarkSet, rng: np.random.Generator) -> None:
    """Put every landmark of these items where a person sees it, one edit an item, and mark the item as done."""
    person = draw_observer("corrector", len(truth.names), BIAS_PX, REPEAT_PX, rng)
    by_name = {str(s.image): s for s in truth}
    for number, item in enumerate(items):
        shown = page.web.get(f"{page.task}/item", params={"name": item}).raise_for_status().json()
        placed = person.place(by_name[item].points, rng)
        wanted = {f"point:{n}": [round(float(v), 3) for v in p] for n, p in zip(truth.names, placed, strict=True)}
        wanted["status"] = "done"
        changes = [{"field": f, "value": v, "base": shown["values"][f]["revision"]} for f, v in wanted.items()]
        body = {"item": item, "key": f"correction-{number:04d}", "changes": changes}
        page.web.post(f"{page.task}/edits", json=body, headers=page.csrf).raise_for_status()


def error_of(run: Path, test: LandmarkSet) -> np.ndarray:
    """(animals,) mean distance in px over the animal's landmarks, NaN where the run did not find the animal."""
    predicted = LandmarkRegressor.load(run / "model").predict(test, progress=False)
    best: dict[str, Any] = {}
    for one in predicted:
        name = str(one.image)
        if name not in best or float(one.attributes.get("score", 0)) > float(best[name].attributes.get("score", 0)):
            best[name] = one
    anatomy = [i for i, name in enumerate(test.names) if name not in RULER]
    none = np.full((len(test.names), 2), np.nan)
    points = [best[str(s.image)].points if str(s.image) in best else none for s in test]
    gaps = [np.linalg.norm((p - s.points)[anatomy], axis=1) for p, s in zip(points, test, strict=True)]
    return np.array([float(np.nanmean(g)) if np.isfinite(g).any() else np.nan for g in gaps])


def report(rounds: list[dict[str, Any]], watch: Stopwatch) -> None:
    arms = ("before", "worst", "random")
    groups = np.repeat(np.arange(len(rounds)), [len(r["errors_px"]["before"]) for r in rounds])
    errors = {arm: np.concatenate([r["errors_px"][arm] for r in rounds]) for arm in arms}
    each = {arm: clustered_interval(errors[arm], groups, unit="px") for arm in arms}
    medians = {arm: clustered_interval(errors[arm], groups, statistic="median", unit="px") for arm in arms}
    gain = paired_difference(errors["worst"], errors["before"], groups, unit="px")
    beside = paired_difference(errors["worst"], errors["random"], groups, unit="px")
    fell = sum(np.mean(r["errors_px"]["worst"]) < np.mean(r["errors_px"]["before"]) for r in rounds)
    caught = {arm: sum(r["wrong_labels_among_corrected"][arm] for r in rounds) for arm in ("worst", "random")}
    claims = [
        Claim(
            f"Correct the queue's first {BUDGET} of {LABELLED + POOL} radiographs, train again: test error",
            f"{each['worst']}, before {each['before']}; falls in {fell} of {len(rounds)} rounds",
            peer=f"{BUDGET} at random: {each['random']}",
            ratio=round(float(errors["worst"].mean() / errors["random"].mean()), 3),
            goal="test error falls",
            met=bool(fell == len(rounds)),
        ),
        Claim(
            f"Wrongly labelled specimens among the {BUDGET} corrected, of {WRONG * len(rounds)}",
            f"{caught['worst']}", peer=f"at random: {caught['random']}",
        ),
    ]  # fmt: skip
    write_result(
        "review_loop", claims, seed=list(range(len(rounds))), watch=watch,
        settings={"labelled": LABELLED, "wrong": WRONG, "unlabelled": POOL, "test": TEST, "corrected": BUDGET,
                  "hand_px": REPEAT_PX, "habit_px": BIAS_PX, "method": "ert", "size": [240, 316]},
        mean_px={arm: metric.to_dict() for arm, metric in each.items()},
        median_px={arm: metric.to_dict() for arm, metric in medians.items()},
        worst_less_before=gain.to_dict(), worst_less_random=beside.to_dict(), rounds=rounds,
    )  # fmt: skip
    for claim in claims:
        print(claim.claim, claim.ours, claim.peer, claim.met)


if __name__ == "__main__":
    main()

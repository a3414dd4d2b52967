"""A thousand damaged inputs through convert, train and predict: exit 0 or 2, a line that names the file, no hang.

Run: ``python -m benchmarks.damaged``. Inputs that are still valid after the damage may succeed; what fails must fail
with exit 2, a single line on standard error that names the file, and nothing half-written.
"""

from __future__ import annotations

import contextlib
import io
import signal
import sys
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.record import Claim, write_result
from ethomorph.cli.app import execute
from ethomorph.phantoms.radiograph import simulate_radiographs
from ethomorph.study.provenance import Stopwatch

SEED = 0
COUNT = {"convert": 700, "train": 150, "predict": 150}
LIMIT_S = 120
"""Seconds after which a command counts as hanging."""

STUDY = """\
[study]
name = "damaged"
[split]
test = 0.3
validation = 0.0
[task.t]
kind = "landmarks"
labels = "{labels}"
images = "images"
method = "ert"
[task.t.settings]
cascade_depth = 2
num_trees_per_cascade_level = 10
oversampling_amount = 2
"""


class Hang(BaseException):
    """The command took too long."""


def damage_bytes(data: bytes, rng: np.random.Generator) -> bytes:
    """One of: cut short, emptied, bytes flipped, a stretch doubled or removed, noise, NULs."""
    kind = rng.integers(7)
    if kind == 0:
        return data[: rng.integers(len(data))]
    if kind == 1:
        return b""
    if kind == 2:
        changed = bytearray(data)
        for _ in range(int(rng.integers(1, 30))):
            changed[rng.integers(len(changed))] = int(rng.integers(256))
        return bytes(changed)
    start, stop = sorted(int(i) for i in rng.integers(len(data), size=2))
    if kind == 3:
        return data[:stop] + data[start:]
    if kind == 4:
        return data[:start] + data[stop:]
    if kind == 5:
        return rng.bytes(int(rng.integers(1, 5000)))
    return data[:start] + b"\0" * (stop - start) + data[stop:]


def damage_text(text: str, rng: np.random.Generator) -> str:
    """One landmark file line made wrong: NaN, negative, infinite, huge, words, another count, a missing key."""
    lines = text.splitlines()
    i = int(rng.integers(len(lines)))
    wrong = [
        "nan nan",
        "-5 -7",
        "inf 3",
        "1e309 2",
        "999999999999 1",
        "abc def",
        "1",
        "1 2 3 4",
        "LM=99999999",
        "LM=-3",
        "LM=abc",
        "SCALE=0",
        "SCALE=-1",
        "SCALE=nan",
        "IMAGE=",
        "IMAGE=../../../etc/passwd",
        "IMAGE=no such picture.png",
        "CURVES=9999999",
        "",
        "POINTS=7",
        "<part name='x' x='1' y='2'/>",
        "<!DOCTYPE a [<!ENTITY b 'c'>]>",
        "&b;",
    ]
    lines[i] = wrong[rng.integers(len(wrong))]
    return "\n".join(lines) + "\n"


def special_files(folder: Path) -> list[Path]:
    """Zip bombs and wrong kinds of file under believable names."""
    bomb = folder / "bomb.tps"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.tps", b"\0" * 50_000_000)
    png = folder / "bomb.png"
    import zlib

    def chunk(kind: bytes, body: bytes) -> bytes:
        return len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big")

    header = (200_000).to_bytes(4, "big") * 2 + bytes([8, 0, 0, 0, 0])
    png.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + chunk(b"IEND", b"")
    )
    script = folder / "script.png"
    script.write_text("#!/bin/sh\necho no\n")
    return [bomb, png, script]


def run(arguments: list[str], limit_s: int = LIMIT_S) -> tuple[int, str, float]:
    """Exit code, standard error and seconds of one command; 124 for a hang."""
    out, err = io.StringIO(), io.StringIO()

    def too_long(*_: object) -> None:
        raise Hang

    signal.signal(signal.SIGALRM, too_long)
    signal.alarm(limit_s)
    start = time.monotonic()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = execute(arguments)
    except Hang:
        code = 124
    except BaseException as error:
        code, _ = 1, err.write(f"escaped: {error!r}")
    finally:
        signal.alarm(0)
    return code, err.getvalue(), time.monotonic() - start


def judge(code: int, said: str, names: list[str]) -> str:
    """``ok``, or what is wrong with how a command ended."""
    if code == 0:
        return "ok"
    if code == 124:
        return "hang"
    if "Traceback" in said:
        return "traceback"
    if code != 2:
        return f"exit {code}"
    errors = [line for line in said.splitlines() if line.strip() and not line.startswith(("note:", "warning:"))]
    last = errors[-1] if errors else ""
    return "ok" if any(name in last for name in names) else "file not named"


def main(count: dict[str, int] = COUNT) -> int:
    watch = Stopwatch()
    tally: Counter[str] = Counter()
    bad: list[dict[str, str]] = []
    seconds = []
    with tempfile.TemporaryDirectory() as scratch:
        for verb, arguments, names in cases(Path(scratch), count):
            code, said, took = run(arguments)
            verdict = judge(code, said, names)
            tally[f"{verb}: exit {code}"] += 1
            seconds.append(took)
            if verdict != "ok":
                bad.append({"verb": verb, "arguments": " ".join(arguments), "verdict": verdict, "said": said[-300:]})
                print(verb, verdict, said[-300:].strip(), file=sys.stderr)
    total = sum(count.values())
    claim = Claim(
        "damaged inputs through convert, train and predict end with exit 0 or 2 and a line that names the file",
        ours=f"{total - len(bad)} of {total}, slowest {max(seconds):.1f} s",
        goal="all, no traceback, no hang",
        met=not bad,
    )
    if count == COUNT:
        write_result("damaged", [claim], seed=SEED, watch=watch, exits=dict(sorted(tally.items())), failures=bad)
    print(claim.ours, dict(tally), file=sys.stderr)
    return 1 if bad else 0


def cases(folder: Path, count: dict[str, int]) -> Iterator[tuple[str, list[str], list[str]]]:
    """Verb, command line, and the file names of which the complaint must name one."""
    rng = np.random.default_rng(SEED)
    sample = simulate_radiographs(10, size=(160, 210), seed=SEED)
    good = sample.write(folder / "good")
    images = sorted((good / "images").iterdir())
    labels = {".tps": (good / "landmarks.tps").read_bytes()}
    for target in ("a.xml", "a.csv", "a.nts", "a.txt", "a.json", "a.mrk.json", "a.fcsv", "a.slp"):
        path = good / target
        extra = ["--to", "coco"] if target == "a.json" else ["--to", "morphologika"] if target == "a.txt" else []
        if run(["convert", str(good / "landmarks.tps"), str(path), "--images", str(good / "images"), *extra])[0] == 0:
            labels[target.removeprefix("a")] = path.read_bytes()
    yield from _convert_cases(folder, labels, images, count["convert"], rng)
    yield from _train_cases(folder, labels[".tps"], images, count["train"], rng)
    yield from _predict_cases(folder, good, images, count["predict"], rng)


def _damaged(data: bytes, suffix: str, rng: np.random.Generator) -> bytes:
    if suffix in (".tps", ".xml") and rng.random() < 0.5:
        return damage_text(data.decode(), rng).encode()
    return damage_bytes(data, rng)


def _convert_cases(
    folder: Path, labels: dict[str, bytes], images: list[Path], count: int, rng: np.random.Generator
) -> Iterator[tuple[str, list[str], list[str]]]:
    place = folder / "convert"
    place.mkdir()
    specials = special_files(place)
    for i in range(count):
        if i < len(specials):
            source = specials[i]
        else:
            suffix = list(labels)[int(rng.integers(len(labels)))]
            source = place / f"damaged{i}{suffix}"
            source.write_bytes(_damaged(labels[suffix], suffix, rng))
        target = place / f"out{i}{rng.choice(['.tps', '.xml', '.csv', '.nts'])}"
        yield "convert", ["convert", str(source), str(target), "--images", str(images[0].parent)], [source.name]


def _train_cases(
    folder: Path, tps: bytes, images: list[Path], count: int, rng: np.random.Generator
) -> Iterator[tuple[str, list[str], list[str]]]:
    for i in range(count):
        place = folder / f"train{i}"
        (place / "images").mkdir(parents=True)
        for image in images:
            (place / "images" / image.name).write_bytes(image.read_bytes())
        names = ["landmarks.tps", "study.toml"]
        (place / "study.toml").write_text(STUDY.format(labels="landmarks.tps"))
        (place / "landmarks.tps").write_bytes(tps)
        if i % 3 == 0:
            victim = place / "images" / images[int(rng.integers(len(images)))].name
            victim.write_bytes(damage_bytes(victim.read_bytes(), rng))
            names.append(victim.name)
        elif i % 3 == 1:
            (place / "landmarks.tps").write_bytes(_damaged(tps, ".tps", rng))
        else:
            toml = STUDY.format(labels="landmarks.tps").encode()
            (place / "study.toml").write_bytes(damage_bytes(toml, rng))
        yield "train", ["train", str(place), "--quiet", "--max-minutes", "0.5"], names


def _predict_cases(
    folder: Path, good: Path, images: list[Path], count: int, rng: np.random.Generator
) -> Iterator[tuple[str, list[str], list[str]]]:
    (good / "study.toml").write_text(STUDY.format(labels="landmarks.tps"))
    code, said, _ = run(["train", str(good), "--run", "r", "--quiet"], limit_s=1200)
    if code != 0:
        raise RuntimeError(f"the healthy run failed: {said}")
    model = good / "runs" / "t" / "r"
    place = folder / "predict"
    place.mkdir()
    specials = [p for p in special_files(place) if p.suffix == ".png"]
    keep = {file: file.read_bytes() for file in (*(model / "model").iterdir(), model / "config.toml")}
    for i in range(count):
        names = []
        for file, data in keep.items():
            file.write_bytes(data)
        if i % 5 == 4:
            victim = list(keep)[int(rng.integers(len(keep)))]
            victim.write_bytes(damage_bytes(keep[victim], rng))
            names += [victim.name, "config.toml"]
            source = images[0]
        elif i < len(specials):
            source = specials[i]
        else:
            source = place / f"damaged{i}{rng.choice(['.png', '.jpg', '.tif', '.dcm'])}"
            source.write_bytes(damage_bytes(images[int(rng.integers(len(images)))].read_bytes(), rng))
        yield (
            "predict",
            ["predict", str(model), str(source), "--out", str(place / f"out{i}.tps"), "--quiet"],
            [*names, source.name],
        )


if __name__ == "__main__":
    sys.exit(main())

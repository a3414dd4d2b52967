"""Memory of predicting a whole-body stack: 1616 x 534 x 701 uint16, six outputs, against MONAI's sliding window.

MONAI is given the same network, patches, overlap and weights of a patch's voxels, and averages shares as ours does;
only ours skips empty patches.

Each method runs in a process of its own, whose peak resident memory is measured. MONAI holds every output of the whole
volume, so it is run on a part that fits into memory, and ours on the same part beside the whole. With ``--work``, what
is there is not run again.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.record import Claim, write_result
from ethomorph.core.files import write_json
from ethomorph.core.grid import Grid
from ethomorph.core.volume import ScalarVolume
from ethomorph.phantoms.head import simulate_head
from ethomorph.study.provenance import Stopwatch, peak_memory_mb

SHAPE = (1616, 534, 701)
PART = (192, 528, 672)
"""The part about the head that MONAI is run on: of a size at which both lay their patches alike."""

AIR = 6000
SPACING = 0.06


def make_stack(path: Path, seed: int) -> int:
    """Write the stack: a head in noisy air, the head's planes in the middle of it; returns the head's first plane."""
    head = simulate_head(seed=seed, spacing=SPACING, rotation=np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]]))
    array = head.image.array
    start = (SHAPE[0] - array.shape[0]) // 2
    corner = [(n - m) // 2 for n, m in zip(SHAPE[1:], array.shape[1:], strict=True)]
    background = float(np.percentile(array, 2))
    rng = np.random.default_rng(seed)
    noise = rng.normal(background, 400, SHAPE[1:]).clip(0, 65535).astype(np.uint16)
    stack = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint16, shape=SHAPE)
    for z in range(SHAPE[0]):
        plane = np.roll(noise, (7 * z, 13 * z), axis=(0, 1))
        if start <= z < start + array.shape[0]:
            box = (slice(corner[0], corner[0] + array.shape[1]), slice(corner[1], corner[1] + array.shape[2]))
            plane[box] = array[z - start]
        stack[z] = plane
    stack.flush()
    return start


def a_plan(model: Any) -> Any:
    """The trained model's plan at this stack's resolution, so that nothing is resampled, each patch seen once."""
    from dataclasses import replace

    size = (SPACING,) * 3
    return replace(model.model_.plan_, spacing=size, finest=size, coarsest=size, mirrored=False)


def child(method: str, stack: Path, model_folder: Path, start: int, out: Path) -> dict[str, Any]:
    """Run one method on `PART` from plane `start` on, or on all for -1, write its classes, and say what it took."""
    import torch

    from ethomorph.volumes.estimator import VolumeSegmenter

    model = VolumeSegmenter.load(model_folder, device="cpu")
    plan = a_plan(model)
    mapped = np.load(stack, mmap_mode="r")
    whole = start < 0
    y, x = ((n - m) // 2 for n, m in zip(SHAPE[1:], PART[1:], strict=True))
    array = mapped if whole else np.array(mapped[start : start + PART[0], y : y + PART[1], x : x + PART[2]])
    image = ScalarVolume(array, Grid(array.shape, (SPACING,) * 3))
    began = time.perf_counter()
    result: dict[str, Any] = {"method": method, "shape": array.shape}
    with tempfile.TemporaryDirectory() as scratch:
        if method == "ours" and whole:
            model.model_.plan_ = plan
            result["predicted_mib"] = model.model_.predicted_bytes(image) / 2**20
            labels = model.model_.predict_image(image, scratch=Path(scratch))
            result |= {"notes": labels.notes, "segments": len(labels.segments)}
        elif method == "ours":
            from ethomorph.volumes.stream import stream

            found = stream(image, model.model_._network, plan, classes=4, things=[2], scratch=Path(scratch))
            np.save(out, found.classes.whole())
        else:
            from monai.inferers import sliding_window_inference

            from ethomorph.volumes.plan import intensity_range
            from ethomorph.volumes.stream import ramp

            network = model.model_._network
            weights = torch.from_numpy(np.einsum("i,j,k->ijk", *(ramp(n) for n in plan.patch)).astype(np.float32))

            def shares(patch: torch.Tensor) -> torch.Tensor:
                made = network(patch)
                return torch.cat([torch.softmax(made[:, :4], 1), torch.sigmoid(made[:, 4:])], 1)

            pixels = torch.from_numpy(plan.normalized(array, *intensity_range(image)))[None, None]
            with torch.inference_mode():
                outputs: Any = sliding_window_inference(
                    pixels, plan.patch, 1, shares, overlap=plan.overlap, roi_weight_map=weights
                )
            np.save(out, outputs[0, :4].argmax(0).numpy().astype(np.uint8))
    return result | {"seconds": time.perf_counter() - began, "peak_mib": peak_memory_mb()}


def run(method: str, stack: Path, model: Path, start: int, out: Path) -> dict[str, Any]:
    """`child` in a process of its own; what it found is kept beside `out`."""
    kept = out.with_suffix(".json")
    if kept.is_file():
        known: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8"))
        return known
    command = [sys.executable, "-m", "benchmarks.volume_stream", "--child", method, "--stack", str(stack), "--model",
               str(model), "--start", str(start), "--out", str(out)]  # fmt: skip
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found = json.loads(done.stdout.strip().splitlines()[-1])
    print(found, file=sys.stderr, flush=True)
    write_json(kept, found)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--model", type=Path, required=True, help="a trained model's folder, as benchmarks.volumes leaves it"
    )
    parser.add_argument("--work", type=Path, default=None)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--child", choices=["ours", "monai"], help=argparse.SUPPRESS)
    parser.add_argument("--stack", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--start", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(child(options.child, options.stack, options.model, options.start, options.out)))
        return
    watch = Stopwatch()
    work = options.work or Path(tempfile.mkdtemp(prefix="volume-stream-"))
    work.mkdir(parents=True, exist_ok=True)
    stack = work / "stack.npy"
    # in a process of its own: on Linux a child's peak begins at its parent's
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        start = pool.submit(make_stack, stack, options.seed).result()
    whole = run("ours", stack, options.model, -1, work / "whole.npy")
    part = run("ours", stack, options.model, start + 10, work / "ours.npy")
    peer = run("monai", stack, options.model, start + 10, work / "monai.npy")
    ours, theirs = np.load(work / "ours.npy"), np.load(work / "monai.npy")
    same = float((ours == theirs).mean())
    inside = (ours > 0) | (theirs > 0)
    same_inside = float((ours == theirs)[inside].mean())
    held = 4 * 6 * np.prod(SHAPE, dtype=float) / 2**20
    some = " x ".join(str(n) for n in PART) + " of it"
    claims = [
        Claim("1616 x 534 x 701 uint16 with six outputs, teeth decoded: peak memory of the whole process",
              f"{whole['peak_mib']:.0f} MiB", f"MONAI's outputs alone would be {held:.0f} MiB", goal="under 2048 MiB",
              met=whole["peak_mib"] < 2048),
        Claim("the same: predicted before the start", f"{whole['predicted_mib']:.0f} MiB",
              ratio=whole["predicted_mib"] / whole["peak_mib"], goal="not below what was measured",
              met=whole["predicted_mib"] >= whole["peak_mib"]),
        Claim(f"{some}: peak memory against MONAI's sliding window", f"{part['peak_mib']:.0f} MiB",
              f"{peer['peak_mib']:.0f} MiB", ratio=part["peak_mib"] / peer["peak_mib"]),
        Claim(f"{some}: time against MONAI's, empty tiles skipped", f"{part['seconds']:.0f} s",
              f"{peer['seconds']:.0f} s", ratio=part["seconds"] / peer["seconds"]),
        Claim(f"{some}: voxels with the same label as MONAI's",
              f"{same:.3%} of all, {same_inside:.2%} of those that either labels", goal="at least 99.9 % of both",
              met=same_inside >= 0.999),
    ]  # fmt: skip
    path = write_result("volume_stream", claims, seed=options.seed, watch=watch, runs=[whole, part, peer])
    stack.unlink()
    print(path, file=sys.stderr)


if __name__ == "__main__":
    main()

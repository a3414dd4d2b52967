"""Running a trained network: torch, ONNX Runtime or OpenVINO behind one call, each checked against torch before use.

Which is fastest depends on the machine, so it is measured on the machine at hand. A runtime that is not installed, or
whose points differ by more than `AGREE_PX`, is not used, and the record says why.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import torch

from ethomorph.core.errors import InputError, MissingPart
from ethomorph.core.files import atomic_path
from ethomorph.core.signal_stack import kept_signal_stack
from ethomorph.keypoints.pose.networks import PoseNetwork

AGREE_PX = 0.1
"""Largest distance in px between a point of another runtime and torch's."""
TRIALS = 3
PIECE_PIXELS, PIECE_MOST = 2**18, 64
"""Pixels and pictures that go through a network together on a CPU, which gains nothing from more."""
RuntimeName = Literal["auto", "torch", "onnxruntime", "openvino"]
NAMES = ("torch", "onnxruntime", "openvino")


class Runner(Protocol):
    """Runs one network."""

    name: str

    def __call__(self, pictures: np.ndarray) -> list[torch.Tensor]:
        """A map a head from (batch, channels, height, width) uint8."""


class TorchRunner:
    """Torch, weights and input laid out channels last; mixed precision on CUDA only."""

    name = "torch"

    def __init__(self, network: PoseNetwork, device: str = "cpu") -> None:
        self.device = torch.device(device)
        self.network = network.to(self.device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]

    @torch.inference_mode()
    def __call__(self, pictures: np.ndarray) -> list[torch.Tensor]:
        given = torch.from_numpy(pictures).to(self.device).contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.device.type == "cuda"):
            maps = self.network(given)
        return [one.float().contiguous() for one in maps]


class OnnxRunner:
    """ONNX Runtime on the CPU."""

    name = "onnxruntime"

    def __init__(self, path: Path, threads: int | None = None) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or torch.get_num_threads()
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def __call__(self, pictures: np.ndarray) -> list[torch.Tensor]:
        return [torch.from_numpy(one) for one in self.session.run(None, {"pictures": pictures})]


class OpenVinoRunner:
    """OpenVINO on the CPU, in 32 bits; compiled again for each shape of input."""

    name = "openvino"

    def __init__(self, path: Path, threads: int | None = None) -> None:
        import openvino

        self.core = openvino.Core()
        self.model = self.core.read_model(str(path))
        self.options = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads or torch.get_num_threads()}
        self.compiled: dict[tuple[int, ...], Any] = {}

    def __call__(self, pictures: np.ndarray) -> list[torch.Tensor]:
        if pictures.shape not in self.compiled:
            self.model.reshape(list(pictures.shape))
            with kept_signal_stack():
                self.compiled[pictures.shape] = self.core.compile_model(self.model, "CPU", self.options)
        found = self.compiled[pictures.shape](pictures)
        return [torch.from_numpy(np.array(found[i])) for i in range(len(found))]


class Pieces:
    """A runner that is handed pieces of at most `count` pictures, filled up with zeros to a power of two where it is
    fewer: memory stays small, and a runtime that compiles for a shape does so only for a few."""

    def __init__(self, runner: Runner, count: int) -> None:
        self.runner, self.count, self.name = runner, count, runner.name

    def __call__(self, pictures: np.ndarray) -> list[torch.Tensor]:
        found: list[list[torch.Tensor]] = []
        for start in range(0, len(pictures), self.count):
            piece = pictures[start : start + self.count]
            full = filled(piece, min(self.count, 1 << (len(piece) - 1).bit_length()))
            found.append([one[: len(piece)] for one in self.runner(full)])
        return [torch.cat(maps) for maps in zip(*found, strict=True)]


def piece_of(shape: tuple[int, ...], device: str) -> int:
    """How many pictures (batch, channels, height, width) go through a network together; all of them on a GPU.

    >>> piece_of((8, 1, 240, 320), "cpu"), piece_of((8, 1, 1024, 1024), "cpu"), piece_of((8, 1, 64, 64), "cuda")
    (3, 1, 8)
    >>> piece_of((40, 1, 96, 96), "cpu"), piece_of((64, 1, 48, 48), "cpu")
    (28, 64)
    """
    if device != "cpu":
        return shape[0]
    return int(np.clip(PIECE_PIXELS // (shape[-2] * shape[-1]), 1, PIECE_MOST))


def filled(pictures: np.ndarray, count: int) -> np.ndarray:
    """Pictures and as many empty ones as are missing from `count`."""
    missing = count - len(pictures)
    return np.concatenate([pictures, np.zeros((missing, *pictures.shape[1:]), pictures.dtype)]) if missing else pictures


@dataclass
class Trial:
    """What a runtime showed on the machine at hand.

    Attributes
    ----------
    seconds : for the sample, the least of `TRIALS`; None where it was not used.
    away_px : the largest distance of a point from torch's.
    reason : why it was not used.
    """

    name: str
    seconds: float | None = None
    away_px: float | None = None
    reason: str = ""

    def __str__(self) -> str:
        if self.seconds is None:
            return f"{self.name}: not used, {self.reason}"
        return f"{self.name}: {1000 * self.seconds:.0f} ms a piece, within {self.away_px or 0:.3f} px of torch"


@dataclass
class Choice:
    """The runner taken for a network, and every trial."""

    runner: Runner
    trials: list[Trial] = field(default_factory=list)


def export(network: PoseNetwork, path: Path, size: tuple[int, int], channels: int) -> Path:
    """Write a network as ONNX, of any batch and picture size; needs the package onnx.

    Raises
    ------
    MissingPart : onnx is not installed.
    """
    import warnings

    try:
        import onnx  # noqa: F401
    except ImportError as error:
        raise MissingPart("onnx is not installed", fix="pip install 'ethomorph[runtimes]'") from error
    sample = torch.zeros((1, channels, *size), dtype=torch.uint8)
    names = [f"map{i}" for i in range(len(network.heads))]
    axes = {0: "batch", 2: "height", 3: "width"}
    plain = network.cpu().to(memory_format=torch.contiguous_format).eval()  # type: ignore[call-overload]
    with atomic_path(path) as temporary, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            plain, (sample,), str(temporary), input_names=["pictures"], output_names=names, opset_version=17,
            dynamic_axes={"pictures": axes, **dict.fromkeys(names, axes)}, dynamo=False,
        )  # fmt: skip
    return path


def choose(
    network: PoseNetwork, onnx: Path | None, sample: np.ndarray, points: Any, *, wanted: RuntimeName = "auto",
    device: str = "cpu",
) -> Choice:  # fmt: skip
    """The fastest runtime that agrees with torch.

    Parameters
    ----------
    onnx : the exported network; None where there is none.
    sample : (batch, channels, height, width) uint8 of real pictures.
    points : takes a network's maps and gives points (n, 2) in px, to compare runtimes by.
    wanted : a runtime's name, or "auto".

    Raises
    ------
    InputError : a runtime that was asked for by name and cannot be used.
    """
    if wanted not in ("auto", *NAMES):
        raise InputError(f"there is no runtime {wanted!r}", fix=f"use auto, {', '.join(NAMES)}")
    reference = TorchRunner(network, device)
    if device != "cpu" or wanted == "torch":
        return Choice(reference, [Trial("torch", timed(reference, sample), 0.0)])
    truth = points(reference(sample))
    runners: dict[str, Runner] = {"torch": reference}
    trials = {"torch": Trial("torch", timed(reference, sample), 0.0)}
    for name, make in (("onnxruntime", OnnxRunner), ("openvino", OpenVinoRunner)):
        if wanted not in ("auto", name):
            continue
        trials[name] = trial = Trial(name)
        if onnx is None or not onnx.is_file():
            trial.reason = "the network was not exported"
            continue
        try:
            runner: Runner = make(onnx)
            found = points(runner(sample))
        except ImportError:
            trial.reason = "it is not installed (pip install 'ethomorph[runtimes]')"
            continue
        except Exception as error:
            trial.reason = " ".join(str(error).split())[:120]
            continue
        trial.away_px = float(np.abs(found - truth).max()) if found.shape == truth.shape and found.size else 0.0
        if found.shape != truth.shape or trial.away_px > AGREE_PX:
            trial.reason = f"its points lie up to {trial.away_px:.3f} px from torch's"
            continue
        trial.seconds = timed(runner, sample)
        runners[name] = runner
    if wanted not in ("auto", *runners):
        raise InputError(trials[wanted].reason, place=wanted, fix="use --runtime auto")
    usable = runners if wanted == "auto" else {wanted: runners[wanted]}
    best = min(usable, key=lambda name: trials[name].seconds or np.inf)
    return Choice(runners[best], list(trials.values()))


def timed(runner: Runner, sample: np.ndarray) -> float:
    """Least seconds for a batch, after one to warm up: what others do on the machine only ever adds."""
    runner(sample)
    seen = []
    for _ in range(TRIALS):
        begun = time.perf_counter()
        runner(sample)
        seen.append(time.perf_counter() - begun)
    return float(min(seen))

"""provenance.json: enough to say, years later, what made a run's numbers."""

from __future__ import annotations

import platform
import sys
import time
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

from ethomorph.core.files import sha256

LIBRARIES = (
    "numpy",
    "scipy",
    "scikit-learn",
    "pandas",
    "torch",
    "lightning",
    "dlib-bin",
    "opencv-python-headless",
    "sleap-io",
)


class Stopwatch:
    """Wall seconds since it was made."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    @property
    def seconds(self) -> float:
        return round(time.monotonic() - self._start, 3)


def describe_run(
    *, command: list[str], seed: int, inputs: Iterable[Path], root: Path, seconds: float
) -> dict[str, Any]:
    """The content of provenance.json.

    Parameters
    ----------
    command : what was typed.
    inputs : every file that was read; hashed by SHA-256. Paths inside `root` are written relative to it.
    seconds : wall time of the whole command.
    """
    return {
        "command": command,
        "versions": versions(),
        "seed": seed,
        "inputs": {_relative(path, root): sha256(path) for path in sorted(set(inputs)) if path.is_file()},
        "machine": machine(),
        "seconds": seconds,
        "peak_memory_mb": peak_memory_mb(),
        "finished": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }


def versions() -> dict[str, str]:
    """Versions of Python, ethomorph and the libraries that make numbers."""
    from ethomorph import __version__

    found = {"python": platform.python_version(), "ethomorph": __version__}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def machine() -> dict[str, Any]:
    """Processor, cores, memory and accelerator, without names that identify the place."""
    import psutil

    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": psutil.cpu_count(logical=True),
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "accelerator": _accelerator(),
    }


def peak_memory_mb() -> float:
    """Largest resident memory of this process so far, in MiB."""
    if sys.platform == "win32":
        import psutil

        return round(psutil.Process().memory_info().peak_wset / 2**20, 1)
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10), 1)


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"


def _accelerator() -> str:
    torch = sys.modules.get("torch")
    if torch is None:
        return "not looked for"
    if torch.cuda.is_available():
        return str(torch.cuda.get_device_name())
    return "mps" if torch.backends.mps.is_available() else "none"


def _relative(path: Path, root: Path) -> str:
    try:
        return str(path.resolve().relative_to(root.resolve()))
    except ValueError:
        return path.name

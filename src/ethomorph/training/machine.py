"""What a run ran on and what it took: for provenance.json, so that a result can be explained and repeated later."""

from __future__ import annotations

import os
import platform
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = ("ethomorph", "numpy", "scipy", "scikit-learn", "pandas", "pillow", "opencv-python-headless", "dlib-bin",
            "sleap-io", "torch", "lightning")  # fmt: skip
BYTES_PER_MB = 1024**2


def versions(packages: tuple[str, ...] = PACKAGES) -> dict[str, str]:
    """Versions of Python and of the packages that are installed, without importing any."""
    found = {"python": platform.python_version()}
    for name in packages:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def machine() -> dict[str, Any]:
    """Operating system, CPU, usable cores, memory in MB, and the GPUs where torch has been loaded already."""
    import psutil

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    about: dict[str, Any] = {
        "system": platform.platform(),
        "cpu": cpu_model(),
        "cores": cores,
        "memory_mb": round(psutil.virtual_memory().total / BYTES_PER_MB),
    }
    torch = sys.modules.get("torch")  # not worth seconds of importing where nothing has used it
    if torch is not None and torch.cuda.is_available():
        about["gpus"] = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return about


def cpu_model() -> str:
    """The processor's name as the system tells it."""
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def peak_memory_mb() -> float | None:
    """Largest resident memory of this process so far, in MB; None where the system does not count it."""
    try:
        import resource
    except ImportError:  # Windows keeps the peak elsewhere
        import psutil

        peak = getattr(psutil.Process().memory_info(), "peak_wset", None)
        return None if peak is None else peak / BYTES_PER_MB
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / BYTES_PER_MB if sys.platform == "darwin" else peak / 1024


class Stopwatch:
    """Wall-clock and CPU seconds since it was made, and the peak memory of the process.

    >>> sorted(Stopwatch().to_dict())
    ['cpu_seconds', 'peak_memory_mb', 'seconds']
    """

    def __init__(self) -> None:
        self.started, self.cpu = time.monotonic(), time.process_time()

    def to_dict(self) -> dict[str, float | None]:
        peak = peak_memory_mb()
        return {
            "seconds": round(time.monotonic() - self.started, 2),
            "cpu_seconds": round(time.process_time() - self.cpu, 2),
            "peak_memory_mb": None if peak is None else round(peak, 1),
        }

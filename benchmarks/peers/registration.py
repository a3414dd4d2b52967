"""Registers one pair with elastix or ANTs and moves points: run by ``benchmarks.registration`` with another Python.

``python registration.py NAME FIXED MOVING POINTS.csv OUT.json``: points (LPS mm, in the fixed image) go to the moving
image. Default parameters of each program; seconds of registration alone, wall and processor.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np


def elastix(fixed: str, moving: str, points: np.ndarray) -> tuple[np.ndarray, list[float]]:
    import itk

    one, two = (itk.imread(path, itk.F) for path in (fixed, moving))
    settings = itk.ParameterObject.New()
    for kind in ("affine", "bspline"):
        settings.AddParameterMap(settings.GetDefaultParameterMap(kind))
    began = clock()
    _, found = itk.elastix_registration_method(one, two, parameter_object=settings, log_to_console=False)
    spent = since(began)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "points.txt"
        lines = ["point", str(len(points)), *(" ".join(f"{v:.9f}" for v in p) for p in points)]
        file.write_text("\n".join(lines) + "\n")
        itk.transformix_pointset(two, found, fixed_point_set_file_name=str(file), output_directory=folder)
        rows = (Path(folder) / "outputpoints.txt").read_text().splitlines()
    moved = [[float(v) for v in row.split("OutputPoint = [")[1].split("]")[0].split()] for row in rows]
    return np.array(moved), spent


def ants(fixed: str, moving: str, points: np.ndarray) -> tuple[np.ndarray, list[float]]:
    import ants as library
    import pandas as pd

    one, two = (library.image_read(path) for path in (fixed, moving))
    began = clock()
    found = library.registration(one, two, type_of_transform="SyN")
    spent = since(began)
    table = pd.DataFrame(points, columns=["x", "y", "z"])
    moved = library.apply_transforms_to_points(3, table, found["fwdtransforms"])
    return moved[["x", "y", "z"]].to_numpy(), spent


def clock() -> tuple[float, float]:
    used = os.times()
    return time.monotonic(), used.user + used.system


def since(began: tuple[float, float]) -> list[float]:
    now = clock()
    return [round(now[0] - began[0], 2), round(now[1] - began[1], 2)]


if __name__ == "__main__":
    name, fixed, moving, points, out = sys.argv[1:]
    found, seconds = {"elastix": elastix, "ants": ants}[name](fixed, moving, np.loadtxt(points, delimiter=","))
    Path(out).write_text(json.dumps({"points": found.tolist(), "wall_s": seconds[0], "cpu_s": seconds[1]}))

"""Surfaces onto voxels: exactness, and half a million triangles onto 512 x 512 x 512."""

from __future__ import annotations

import resource
from typing import Any

import numpy as np
import trimesh

from benchmarks.record import Claim, write_result
from ethomorph.core.grid import Grid
from ethomorph.core.mesh import Mesh, box_mesh
from ethomorph.spatial.surface import surface_of
from ethomorph.spatial.voxelize import coverage, grid_around, voxelize
from ethomorph.study.provenance import Stopwatch

POSES, RADIUS, LARGE = 40, 10.0, 512


def volumes(rng: np.random.Generator) -> dict[str, float]:
    """Largest relative error of a ball's, a ring's and boxes' volume over random places."""
    ball, ring = trimesh.creation.icosphere(5, RADIUS), trimesh.creation.torus(25, RADIUS, 128, 96)
    worst = {"ball": 0.0, "ring": 0.0, "ball_coverage": 0.0}
    truth = {"ball": 4 / 3 * np.pi * RADIUS**3, "ring": 2 * np.pi**2 * 25 * RADIUS**2}
    for _ in range(POSES):
        for name, solid in (("ball", ball), ("ring", ring)):
            turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
            turn *= np.sign(np.linalg.det(turn))
            mesh = Mesh(solid.vertices @ turn.T + rng.random(3), solid.faces)
            grid = grid_around([mesh], (1, 1, 1), margin=3)
            grid = Grid(grid.shape, grid.spacing, tuple(np.array(grid.origin) + rng.random(3)))
            worst[name] = max(worst[name], abs(voxelize(mesh, grid).sum() / truth[name] - 1))
            if name == "ball":
                share = abs(coverage(mesh, grid).sum() / mesh.volume_mm3 - 1)
                worst["ball_coverage"] = max(worst["ball_coverage"], share)
    wrong = 0
    grid = Grid((40, 40, 40), (1, 1, 1), (0.5, 0.5, 0.5))
    for _ in range(POSES):
        low = rng.integers(0, 20, 3)
        high = low + rng.integers(1, 20, 3)
        expected = np.zeros(grid.shape, bool)
        expected[low[2] : high[2], low[1] : high[1], low[0] : high[0]] = True
        wrong += int((voxelize(box_mesh(tuple(low), tuple(high)), grid) != expected).sum())
    return {name: float(value) for name, value in worst.items()} | {"box_voxels_wrong": wrong}


def large(rng: np.random.Generator) -> dict[str, Any]:
    """A knobbly shell of half a million triangles, seconds and memory."""
    solid = trimesh.creation.icosphere(7, 1.0)
    direction = solid.vertices
    bumps = sum(0.04 * np.sin(k * direction @ rng.normal(size=3) * 2 + k) for k in range(3, 9))
    outer = direction * (210 + 60 * bumps[:, None]) + 256
    inner = direction * (180 + 60 * bumps[:, None]) + 256
    mesh = Mesh(np.concatenate([outer, inner]), np.concatenate([solid.faces, solid.faces[:, ::-1] + len(outer)]))
    grid = Grid((LARGE,) * 3, (1, 1, 1))
    watch = Stopwatch()
    inside = voxelize(mesh, grid)
    seconds = watch.seconds
    return {
        "triangles": len(mesh.faces),
        "seconds": seconds,
        "volume_error": float(abs(inside.sum() / mesh.volume_mm3 - 1)),
        "peak_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }


def back_and_forth() -> float:
    """Dice of a mask with its surface voxelised again."""
    z, y, x = np.indices((60, 60, 60)) - 29.5
    mask = (x / 20) ** 2 + (y / 14) ** 2 + (z / 24) ** 2 < 1
    grid = Grid(mask.shape, (0.2, 0.2, 0.2))
    again = voxelize(surface_of(mask, grid), grid)
    return float(2 * (mask & again).sum() / (mask.sum() + again.sum()))


def main() -> None:
    watch, rng = Stopwatch(), np.random.default_rng(0)
    found, big, there = volumes(rng), large(rng), back_and_forth()
    claims = [
        Claim(
            "boxes on voxel edges, voxels that are wrong",
            f"{found['box_voxels_wrong']:g}",
            goal="0",
            met=found["box_voxels_wrong"] == 0,
        ),
        Claim(
            "ball of 10 voxels radius, volume, largest error of 40 places",
            f"{100 * found['ball']:.2f} %",
            goal="within 1 %",
            met=found["ball"] < 0.01,
        ),
        Claim(
            "ring of 10 voxels radius, the same",
            f"{100 * found['ring']:.2f} %",
            goal="within 1 %",
            met=found["ring"] < 0.01,
        ),
        Claim("ball by partial volume", f"{100 * found['ball_coverage']:.3f} %"),
        Claim(
            f"{big['triangles']:,} triangles onto {LARGE}^3 voxels",
            f"{big['seconds']:.1f} s, {big['peak_gib']:.2f} GiB",
            goal="a minute and 4 GiB",
            met=big["seconds"] < 60 and big["peak_gib"] < 4,
        ),
        Claim("segment to surface and back, Dice", f"{there:.4f}"),
    ]
    print(write_result("voxelize", claims, seed=0, watch=watch, volumes=found, large=big))


if __name__ == "__main__":
    main()

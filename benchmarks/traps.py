"""Traps in published data, caught or named, and a whole humerus laid on a piece of another.

Run: ``python -m benchmarks.traps DATA``, where DATA holds ``ape-skulls``, ``mouse-skull-landmarks``, ``mouse-skull-ct``
and ``humerus-meshes`` (not shipped).
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from benchmarks.record import Claim, write_result
from ethomorph.api import read
from ethomorph.core.errors import LabelError
from ethomorph.core.grid import Grid
from ethomorph.core.mesh import Mesh
from ethomorph.formats.mesh import read_mesh
from ethomorph.formats.volumes import read_image
from ethomorph.spatial.rigid import applied, turn_angle_deg
from ethomorph.spatial.surface_icp import register_piece, surface_distance
from ethomorph.spatial.traps import refuse_elsewhere
from ethomorph.study.provenance import Stopwatch

PIECES = 10
READINGS = {"RAS": "RAS", "voxel indices": "voxel indices", "metres": "metres", "micrometres": "micrometres"}


def misread(points: np.ndarray, grid: Grid) -> dict[str, np.ndarray]:
    """Landmarks of a volume as four kinds of wrong files would hold them."""
    return {
        "RAS": points * [-1, -1, 1],
        "voxel indices": grid.to_index(points),
        "metres": points / 1000,
        "micrometres": points * 1000,
    }


def named(points: np.ndarray, grid: Grid, word: str) -> tuple[bool, bool]:
    """Whether landmarks are refused beside a volume, and whether the message says what they are."""
    try:
        refuse_elsewhere(points, grid)
    except LabelError as error:
        return True, word in str(error)
    return False, False


def mouse_traps(data: Path) -> dict[str, list[int]]:
    """For each misreading: heads tried, refused, named rightly; "right" are landmarks as they are."""
    table = {name: [0, 0, 0] for name in (*READINGS, "right")}
    for path in sorted((data / "mouse-skull-ct/landmarks").glob("*.mrk.json")):
        volume = data / "mouse-skull-ct/volumes" / path.name.replace(".mrk.json", ".nii.gz")
        if not volume.exists():
            continue
        grid, points = read_image(volume).grid, read(path)[0].points
        for name, wrong in (misread(points, grid) | {"right": points}).items():
            refused, said = named(wrong, grid, READINGS.get(name, "outside"))
            table[name] = [a + b for a, b in zip(table[name], (1, refused, said), strict=True)]
    return table


def own_pieces(bone: Mesh, rng: np.random.Generator) -> list[dict[str, float]]:
    """Random stretches of a bone, turned anyhow, found again: rotation error and largest distance."""
    middle = bone.vertices.mean(axis=0)
    axis = np.linalg.svd(bone.vertices - middle, full_matrices=False)[2][0]
    along = (bone.vertices - middle) @ axis
    rows = []
    for _ in range(PIECES):
        start = rng.uniform(0, 0.6)
        low, high = np.quantile(along, [start, start + 0.4])
        kept = (along > low) & (along < high)
        faces = bone.faces[kept[bone.faces].all(axis=1)]
        used = np.unique(faces)
        turn = np.eye(4)
        turn[:3, :3] = Rotation.random(rng=rng).as_matrix()
        turn[:3, 3] = rng.uniform(-80, 80, 3)
        truth = applied(turn, bone.vertices[used])
        found = register_piece(bone, Mesh(truth, np.searchsorted(used, faces)))
        apart = np.linalg.norm(found.transform.points(bone.vertices[used], frame="whole") - truth, axis=1)
        rows.append(
            {"rotation_deg": turn_angle_deg(found.transform.matrix, turn), "largest_mm": float(apart.max()),
             "second_best": found.second_best}
        )  # fmt: skip
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    data = parser.parse_args().data
    watch, rng = Stopwatch(), np.random.default_rng(0)
    mice = sorted((data / "mouse-skull-landmarks/adult_126").glob("*.mrk.json"))
    suspected = sum(any("voxel indices" in n for n in read(path).notes) for path in mice)
    lps, ras = (read(data / f"ape-skulls/template/Gorilla_template_LM1.{k}")[0].points for k in ("json", "fcsv"))
    skull = read_mesh(data / "ape-skulls/template/Gor_template_low_res.ply", unit="mm")
    on_bone = float(np.median(surface_distance(ras, skull)))
    traps = mouse_traps(data)
    bone = read_mesh(data / "humerus-meshes/O35_M_humerus_source.stl", unit="mm", frame="lps")
    part = read_mesh(data / "humerus-meshes/U35_F_humerus_partial_target.stl", unit="mm", frame="lps")
    pieces = own_pieces(bone, rng)
    fit = register_piece(bone, part, scaled=True)
    size = float(np.cbrt(np.linalg.det(fit.transform.matrix[:3, :3])))
    away = surface_distance(part.vertices, fit.transform.mesh(bone, frame="whole"))
    tried = traps["RAS"][0]
    found = sum(row["rotation_deg"] < 1 for row in pieces)
    turns = [row["rotation_deg"] for row in pieces]
    claims = [
        Claim("mouse landmark files that say mm and hold voxel indices: named on reading",
              f"{suspected} of {len(mice)}", goal="all", met=suspected == len(mice)),
        Claim("a gorilla's landmarks, .json in LPS and .fcsv in RAS: largest difference once read; median from bone",
              f"{np.abs(lps - ras).max():.2g} mm; {on_bone:.2f} mm", goal="the same, on bone",
              met=bool(np.abs(lps - ras).max() < 0.01 and on_bone < 2)),
        *(Claim(f"landmarks of {tried} mouse scans read as {name}: refused, and named rightly",
                f"{count[1]}, {count[2]} of {count[0]}", goal="all", met=count[1] == count[2] == count[0])
          for name, count in traps.items() if name != "right"),
        Claim(f"landmarks of the same {tried} scans as they are: refused", f"{traps['right'][1]}", goal="none",
              met=traps["right"][1] == 0),
        Claim(f"{PIECES} stretches of 40 % of a humerus in any pose, found again within 1 degree",
              f"{found}; rotation error {np.median(turns):.2g} degrees median, {max(turns):.2g} largest",
              goal="all", met=found == PIECES),
        Claim("the whole humerus laid on a piece of another person's: distance of the piece from it, mean and 95 %; "
              "size; how much worse the next pose is",
              f"{away.mean():.2f} and {np.quantile(away, 0.95):.2f} mm; {size:.2f}; {fit.second_best:.2f} times",
              goal="no tie", met=not fit.is_tie),
    ]  # fmt: skip
    details: dict[str, Any] = {"traps": traps, "pieces": pieces, "piece_distance_mm": away.mean()}
    print(write_result("traps", claims, seed=0, watch=watch, **details))


if __name__ == "__main__":
    main()

"""The landmark scheme of the simulated lizard: 34 points, two of them the ends of the metal scale bar.

Left and right are the animal's own. Tables only: where the points come to lie is `anatomy`'s business.
"""

from __future__ import annotations

from itertools import pairwise

SCALE_BAR_MM = 27.0  # length of the staple that is radiographed along with each specimen

_HEAD = ["orbit_front", "orbit_back", "jaw_corner"]
_ARM = ["shoulder", "elbow", "wrist", "finger_tip"]
_LEG = ["hip", "knee", "ankle", "toe_base", "toe_tip"]


def _sided(parts: list[str]) -> list[str]:
    return [f"{part}_{side}" for side in ("left", "right") for part in parts]


NAMES: list[str] = [
    "scale_start", "scale_end", "snout_tip", *_sided(_HEAD),
    "frontal_suture", "parietal_arch", "occiput", "interclavicle", *_sided(_ARM),
    "pubis", "sacrum", "tail_base", *_sided(_LEG),
]

INDEX: dict[str, int] = {name: i for i, name in enumerate(NAMES)}

SYMMETRY: list[tuple[int, int]] = [
    (INDEX[f"{part}_left"], INDEX[f"{part}_right"]) for part in _HEAD + _ARM + _LEG
]


def _chain(*names: str) -> list[tuple[int, int]]:
    return [(INDEX[a], INDEX[b]) for a, b in pairwise(names)]


EDGES: list[tuple[int, int]] = [
    *_chain("scale_start", "scale_end"),
    *_chain("snout_tip", "frontal_suture", "parietal_arch", "occiput", "interclavicle", "pubis", "sacrum", "tail_base"),
]
for _side in ("left", "right"):
    EDGES += _chain("snout_tip", *(f"{part}_{_side}" for part in _HEAD), "occiput")
    EDGES += _chain("interclavicle", *(f"{part}_{_side}" for part in _ARM))
    EDGES += _chain("sacrum", *(f"{part}_{_side}" for part in _LEG))

"""Our ``sleap_*`` scores beside sleap-nn's own evaluation on the same label files.

The peer's figures are read from a JSON that its own environment wrote: ``PEER_SCORES`` names it, see `PEER_SCRIPT`.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np

from benchmarks.record import Claim, write_result
from ethomorph.formats.poses import read_poses
from ethomorph.keypoints.pose.frames import paired_labels
from ethomorph.keypoints.pose.score_sleap import sleap_scores
from ethomorph.study.provenance import Stopwatch

DATA = Path(__file__).parents[2] / "shared" / "data" / "pose-sleap"
PEER_SCRIPT = """
import json, sys, sleap_io as sio
from sleap_nn.evaluation import Evaluator
found = {}
for name in sys.argv[2:]:
    truth, guess = (sio.load_slp(f"{sys.argv[1]}/{p}", open_videos=False) for p in name.split(":"))
    try:
        one = Evaluator(truth, guess, user_labels_only=False)
        voc = one.voc_metrics("oks"); pck = one.voc_metrics("pck"); d = one.distance_metrics(); p = one.pck_metrics()
        v = one.visibility_metrics()
        found[name] = {"mOKS": one.mOKS()["mOKS"], "oks_voc_mAP": voc["oks_voc.mAP"], "oks_voc_mAR": voc["oks_voc.mAR"],
            "pck_voc_mAP": pck["pck_voc.mAP"], "pck_voc_mAR": pck["pck_voc.mAR"], "dist_mean": d["avg"],
            "dist_p50": d["p50"],
            "dist_p95": d["p95"], "mPCK": p["mPCK"], "PCK_5px": p["PCK@5"], "PCK_10px": p["PCK@10"],
            "visibility_precision": v["precision"], "visibility_recall": v["recall"]}
    except Exception as error:
        found[name] = {"error": str(error)}
print(json.dumps({n: {k: (float(x) if not isinstance(x, str) else x) for k, x in m.items()} for n, m in found.items()}))
"""
PAIRS = [
    *(
        f"eval_{kind}/labels_gt.{part}.slp:eval_{kind}/labels_pr.{part}.slp"
        for kind in ("bottomup", "centered_instance")
        for part in ("train", "val")
    ),
    "clip.2node.slp:clip.predictions.slp",
]


def main() -> None:
    watch = Stopwatch()
    peer = json.loads(Path(os.environ["PEER_SCORES"]).read_text(encoding="utf-8"))
    worst, compared, ours = 0.0, 0, {}
    for name in PAIRS:
        truth, guess = (read_poses(DATA / part)[0] for part in name.split(":"))
        rows, _ = paired_labels(truth, guess)
        mine = {key.removeprefix("sleap_"): metric.value for key, metric in sleap_scores(rows).items()}
        ours[name] = mine
        for key, value in peer[name].items():
            if key != "error" and value is not None and np.isfinite(value):
                worst, compared = (
                    max(worst, abs(value - (mine[key] if mine[key] is not None else np.inf))),
                    compared + 1,
                )
    claim = Claim(
        f"Largest difference of {compared} scores from sleap-nn's own evaluation, {len(PAIRS)} pairs of label files",
        f"{worst:.2g}", "sleap-nn 0.3.5", goal="within 1e-6", met=worst < 1e-6,
    )  # fmt: skip
    print(write_result("pose_scores", [claim], seed=0, watch=watch, ours=ours, peer=peer))


if __name__ == "__main__":
    main()

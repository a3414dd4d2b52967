"""sleap-nn on the open-field mouse: its own training and prediction, timed step by step.

Two lives: `exported` runs in our environment and writes the parts as label files; as a script, run by the peer's
Python, it trains a single-instance U-Net, predicts the test part and some of a video: ``sleap_nn.py FILES FOLDER STEPS
SEED VIDEO``. A torchvision that does not fit torch has to be taken care of by whoever starts it.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

UNET = {
    "in_channels": 1, "kernel_size": 3, "filters": 16, "filters_rate": 2.0, "max_stride": 16, "convs_per_block": 2,
    "stacks": 1, "stem_stride": None, "middle_block": True, "up_interpolate": True, "output_stride": 2,
}  # fmt: skip
BATCH, EPOCH, RATE, SCALE = 4, 50, 1e-3, 0.5
REPEATS = 3
FRAMES = 48
"""Of the video that are predicted."""
FIRST = 10
"""Steps that are not timed."""


def exported(data: Path, folder: Path, *, seed: int) -> Path:
    """Write ``train.slp``, ``validation.slp`` and ``test.slp``, by 20 stretches; returns the folder."""
    import sleap_io

    from ethomorph.formats.poses import find_films, read_poses
    from ethomorph.keypoints.pose.data import labelled_frames
    from ethomorph.keypoints.pose.task import samples_table
    from ethomorph.study.split import assign_parts

    labels, _ = read_poses(data)
    frames, _ = labelled_frames(labels)
    groups = samples_table(frames, labels, "block")[1]["group"].tolist()
    parts = assign_parts(groups, test=0.2, validation=0.1, seed=seed)
    film: Any = find_films(labels, data / "config.yaml")[0]
    folder.mkdir(parents=True, exist_ok=True)
    for part in ("train", "validation", "test"):
        skeleton = sleap_io.Skeleton(nodes=labels.skeletons[0].node_names)
        paths = [str(film.paths[f.frame]) for f, p in zip(frames, parts, strict=True) if p == part]
        points = [f.points[0] for f, p in zip(frames, parts, strict=True) if p == part]
        video = sleap_io.Video(filename=paths)
        chosen = [
            sleap_io.LabeledFrame(video, i, [sleap_io.Instance.from_numpy(p, skeleton=skeleton)])
            for i, p in enumerate(points)
        ]
        sleap_io.Labels(chosen, [video], [skeleton]).save(str(folder / f"{part}.slp"), embed=False, verbose=False)
    return folder


class Stamps:
    """Wall and processor time of every optimizer step, taken where torch makes it."""

    def __init__(self) -> None:
        import torch

        self.wall: list[float] = []
        self.processor: list[float] = []
        before = torch.optim.Adam.step

        def step(optimizer: Any, *args: Any, **named: Any) -> Any:
            result = before(optimizer, *args, **named)
            self.wall.append(time.monotonic())
            self.processor.append(time.process_time())
            return result

        torch.optim.Adam.step = step  # type: ignore[method-assign]

    def told(self) -> dict[str, float]:
        """Steps a second by the median of the time between steps, the first ones and those between epochs left out."""
        between = np.array([i for i in range(FIRST, len(self.wall)) if i % EPOCH])
        wall, processor = np.diff(self.wall)[between - 1], np.diff(self.processor)[between - 1]
        return {
            "steps": len(self.wall),
            "steps_a_second": float(1 / np.median(wall)),
            "steps_a_processor_second": float(1 / np.median(processor)),
        }


def memory_mb() -> float:
    """The most memory that this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def timed(predict: Any, frames: int) -> tuple[Any, dict[str, float]]:
    """What `predict` gives, and frames a second in the median of `REPEATS` calls after one to warm up."""
    result = predict()
    wall, processor = [], []
    for _ in range(REPEATS):
        begun, spent = time.monotonic(), time.process_time()
        result = predict()
        wall.append(time.monotonic() - begun)
        processor.append(time.process_time() - spent)
    return result, {
        "frames_a_second": frames / float(np.median(wall)),
        "frames_a_processor_second": frames / float(np.median(processor)),
    }


def errors_of(truth: Any, found: Any) -> list[list[float | None]]:
    """Error in px of each node of each frame of two label files; None where it was not found."""
    poses = {int(frame.frame_idx): frame.instances for frame in found.labeled_frames}
    rows = []
    for frame in truth.labeled_frames:
        true = frame.instances[0].numpy()[:, :2]
        some = poses.get(int(frame.frame_idx)) or []
        pose = some[0].numpy()[:, :2] if some else np.full(true.shape, np.nan)
        away = np.linalg.norm(true - pose, axis=1)
        rows.append([round(float(a), 3) if np.isfinite(a) else None for a in away])
    return rows


def main() -> None:
    """Train, predict, print one line of JSON."""
    files, folder, steps, seed = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    import sleap_io
    import torch
    from sleap_nn.inference.predictor import Predictor
    from sleap_nn.train import train

    torch.set_num_threads(1)
    stamps = Stamps()
    folder.mkdir(parents=True, exist_ok=True)
    train(
        train_labels_path=[str(files / "train.slp")], val_labels_path=[str(files / "validation.slp")],
        data_pipeline_fw="torch_dataset_cache_img_memory", ensure_grayscale=True, scale=SCALE,
        geometry_aug={"rotation_min": -15.0, "rotation_max": 15.0, "scale_min": 0.9, "scale_max": 1.1},
        backbone_config={"unet": UNET},
        head_configs={"single_instance": {"confmaps": {"part_names": None, "sigma": 2.5, "output_stride": 2}}},
        batch_size=BATCH, num_workers=0, trainer_accelerator="cpu", enable_progress_bar=False,
        min_train_steps_per_epoch=EPOCH, train_steps_per_epoch=EPOCH, max_epochs=-(-steps // EPOCH), seed=seed,
        save_ckpt=True, ckpt_dir=str(folder), run_name="run", learning_rate=RATE, early_stopping=False,
    )  # fmt: skip
    learned = memory_mb()
    weights = torch.load(next((folder / "run").rglob("best.ckpt")), map_location="cpu", weights_only=False)
    count = sum(v.numel() for k, v in weights["state_dict"].items() if k.endswith(("weight", "bias")))
    truth = sleap_io.load_slp(str(files / "test.slp"))
    predictor = Predictor.from_model_paths([str(folder / "run")], device="cpu", batch_size=BATCH, peak_threshold=0.2)
    found = predictor.predict(truth, make_labels=True, integral_refinement="integral")
    video = sleap_io.load_video(sys.argv[5])
    _, speed = timed(
        lambda: predictor.predict(video, frames=list(range(FRAMES)), make_labels=True, integral_refinement="integral"),
        FRAMES,
    )
    print(
        json.dumps(
            {"parameters": count, "training_memory_mb": learned, "memory_mb": memory_mb(), **speed, **stamps.told(),
             "errors_px": errors_of(truth, found)}
        )
    )  # fmt: skip


if __name__ == "__main__":
    main()

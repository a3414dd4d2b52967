"""sleap-nn on the two flies: one of its stages trained, or test frames predicted and tracked by its finished stages.

Run by the peer's Python: ``sleap_nn_flies.py learn TRAIN VALIDATION FOLDER STAGE EPOCHS STEPS SEED`` and
``sleap_nn_flies.py find FILES FOLDER STAGE...`` print one line of JSON each. `benchmarks.pose_flies_peer` starts it.
Only sleap-nn's own settings, its trainer, predictor and tracker are used; nothing of ours takes part.
"""

from __future__ import annotations

import csv
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers.sleap_nn import BATCH, RATE, UNET, Stamps, memory_mb

SCALES = {"centroid": 0.25, "centered_instance": 0.5, "bottomup": 0.5}
BATCHES = {"centroid": 1, "centered_instance": 4, "bottomup": 1}
"""Whole frames one by one, since steps of four are too few in a few minutes: 50 of them left centroids at zero."""
FILTERS = {"centroid": 8, "centered_instance": 16, "bottomup": 16}
STRIDES = {"centroid": 2, "centered_instance": 2, "bottomup": 4}
SIGMAS = {"centroid": 5.0, "centered_instance": 2.5, "bottomup": 5.0}
"""Of confidence maps: 5 is sleap-nn's own default, which is learned sooner than 2.5."""
HEADS: dict[str, Any] = {
    "centroid": {"confmaps": {"centroid_source": "computed"}},
    "centered_instance": {"confmaps": {"part_names": None}},
    "bottomup": {
        "confmaps": {"part_names": None, "loss_weight": 1.0},
        "pafs": {"edges": None, "sigma": 15.0, "output_stride": 8, "loss_weight": 1.0},
    },
}
VIEWS = {"rotation_min": -180.0, "rotation_max": 180.0, "scale_min": 0.9, "scale_max": 1.1, "flip_p": 0.5}
ANIMALS = 2
PEAK = 0.2


def settings(train: Path, validation: Path, folder: Path, stage: str, epochs: int, steps: int, seed: int) -> Any:
    """sleap-nn's configuration of a stage: `epochs` times `steps`, the rate falling by a cosine."""
    from sleap_nn.config.get_config import get_data_config, get_model_config, get_trainer_config
    from sleap_nn.config.trainer_config import CosineAnnealingWarmupConfig
    from sleap_nn.config.training_job_config import TrainingJobConfig

    data = get_data_config(
        train_labels_path=[str(train)], val_labels_path=[str(validation)],
        data_pipeline_fw="torch_dataset_cache_img_memory", ensure_grayscale=True, scale=SCALES[stage],
        geometry_aug=VIEWS,
    )  # fmt: skip
    net = {"unet": UNET | {"filters": FILTERS[stage], "output_stride": STRIDES[stage]}}
    maps = HEADS[stage]["confmaps"] | {"sigma": SIGMAS[stage], "output_stride": STRIDES[stage]}
    model = get_model_config(backbone_config=net, head_configs={stage: HEADS[stage] | {"confmaps": maps}})
    trainer = get_trainer_config(
        batch_size=BATCHES[stage], num_workers=0, trainer_accelerator="cpu", enable_progress_bar=False,
        min_train_steps_per_epoch=steps, train_steps_per_epoch=steps, max_epochs=epochs, seed=seed, save_ckpt=True,
        ckpt_dir=str(folder), run_name=stage, learning_rate=RATE, early_stopping=False,
    )  # fmt: skip
    trainer.lr_scheduler.cosine_annealing_warmup = CosineAnnealingWarmupConfig(
        warmup_epochs=0, max_epochs=epochs, eta_min=RATE / 100
    )
    return TrainingJobConfig(data_config=data, model_config=model, trainer_config=trainer).to_sleap_nn_cfg()


def learn(
    train: Path, validation: Path, folder: Path, stage: str, epochs: int, steps: int, seed: int
) -> dict[str, Any]:
    """Train one stage: processor time from the first optimizer step to the last, losses by epoch."""
    from sleap_nn.training.model_trainer import ModelTrainer

    stamps = Stamps()
    trainer = ModelTrainer.get_model_trainer_from_config(
        settings(train, validation, folder, stage, epochs, steps, seed)
    )
    trainer.train()
    spent = np.array(stamps.processor)
    with (folder / stage / "training_log.csv").open(encoding="utf-8") as file:
        losses = [{k: float(v) for k, v in row.items() if v and "loss" in k} for row in csv.DictReader(file)]
    return {
        "steps": len(spent), "step_s": float(np.median(np.diff(spent))),
        "fit_cpu_minutes": float(spent[-1] - spent[0]) / 60, "cpu_minutes": time.process_time() / 60,
        "memory_mb": memory_mb(), "losses": losses,
        "parameters": sum(p.numel() for p in trainer.lightning_model.parameters()),
        "crop_px": trainer.config.data_config.preprocessing.crop_size,
    }  # fmt: skip


def find(files: Path, folder: Path, stages: list[str]) -> dict[str, Any]:
    """Predict validation and test frames with all stages; the test frames are tracked, by nearest similarity.

    ``validation`` tells how high peaks get where no threshold hides them, which tells a net that learned nothing from
    one whose peaks are a little too low.
    """
    import sleap_io
    from sleap_nn.inference.predictor import Predictor
    from sleap_nn.inference.tracking import TrackerConfig

    models = [str(folder / stage) for stage in stages]
    predictor = Predictor.from_model_paths(
        models, device="cpu", batch_size=BATCH, peak_threshold=PEAK, max_instances=ANIMALS
    )
    known = sleap_io.load_slp(str(files / "validation.slp"))
    told: dict[str, Any] = {"validation": {"all": heights(predictor.predict(known, peak_threshold=0.0))}}
    told |= highest_maps(predictor, known)
    for stage in stages if len(stages) > 1 else []:
        alone = Predictor.from_model_paths(
            [str(folder / stage)], device="cpu", batch_size=BATCH, max_instances=ANIMALS,
            centroid_only=stage == "centroid",
        )  # fmt: skip
        told["validation"][stage] = heights(alone.predict(known, peak_threshold=0.0))
    predictor.predict(known).save(str(folder / "validation.slp"), embed=False, verbose=False)
    begun = time.process_time()
    found = predictor.predict(sleap_io.load_slp(str(files / "test.slp")), integral_refinement="integral")
    told["prediction_cpu_minutes"] = (time.process_time() - begun) / 60
    tracked = Predictor.retrack(found, TrackerConfig(candidates_method="local_queues", max_tracks=ANIMALS))
    tracked.save(str(folder / "test.slp"), embed=False, verbose=False)
    return told


def highest_maps(predictor: Any, labels: Any) -> dict[str, float]:
    """The highest value of any confidence map, and of any field where there are some; both are 1 where all is learned.

    Bottom-up, a pose is only made where fields join its nodes, so that poses cannot tell how well nodes were learned.
    """
    made = predictor.predict(labels, make_labels=False, return_confmaps=True, return_pafs=True)
    found = {
        name: [float(maps.abs().max()) for one in made if (maps := getattr(one, key, None)) is not None]
        for name, key in (("highest_map", "pred_confmaps"), ("highest_field", "pred_pafs"))
    }
    return {name: max(values) for name, values in found.items() if values}


def heights(labels: Any) -> dict[str, float | int]:
    """How many frames and animals were found, and the highest and the middle peak of a point."""
    points = [p for frame in labels.labeled_frames for i in frame.instances for p in i.numpy(scores=True)[:, 2]]
    known = np.array(points, dtype=float)
    known = known[np.isfinite(known)]
    return {
        "frames": len(labels.labeled_frames),
        "animals": sum(len(frame.instances) for frame in labels.labeled_frames),
        "highest": float(known.max()) if len(known) else 0.0,
        "median": float(np.median(known)) if len(known) else 0.0,
    }


def main() -> None:
    """Do what the first word says, print one line of JSON."""
    import torch

    torch.set_num_threads(1)
    verb, words = sys.argv[1], sys.argv[2:]
    if verb == "learn":
        train, validation, folder, stage, *numbers = words
        told = learn(Path(train), Path(validation), Path(folder), stage, *map(int, numbers))
    else:
        files, folder, *stages = words
        told = find(Path(files), Path(folder), stages)
    print(json.dumps(told))


if __name__ == "__main__":
    main()

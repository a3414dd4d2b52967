"""The method ``unet3d``: plan, train, tune and predict. For the estimator that people use see `estimator`."""

from __future__ import annotations

import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ethomorph.core.errors import LabelError
from ethomorph.core.grid import Grid
from ethomorph.core.model_files import damage_named, read_arrays, read_facts, write_arrays, write_facts
from ethomorph.core.resample import resample_labels, resample_shapes
from ethomorph.core.volume import LabelVolume, ScalarVolume
from ethomorph.volumes.classes import ClassMap
from ethomorph.volumes.data import Case
from ethomorph.volumes.decode import Thresholds, find_things, settle_classes, tune, usual
from ethomorph.volumes.plan import Plan, fingerprint, intensity_range, make_plan
from ethomorph.volumes.settings import SegmenterSettings
from ethomorph.volumes.store import Store
from ethomorph.volumes.stream import Outputs, predicted_bytes, refuse_too_large, slabs, stream

if TYPE_CHECKING:
    from ethomorph.training.fit import FitResult

DEFAULT_STEPS = 4000
TRIAL_STEPS = 4
CALM_PATCHES = 3
"""Validation patches of each validation volume."""

TUNED_ON = 6
"""Thresholds are tuned on so many validation volumes at most."""

AIR = -0.6
"""Normalised intensity a fifth of the way from air to bright tissue."""

PLAN = "plan.toml"
Change = Callable[[Case, ScalarVolume], ScalarVolume]


class UNet3dSegmenter:
    """A 3-D U-Net with heads for class, distance and border.

    Attributes
    ----------
    plan_ : what the data decided, see `Plan`.
    thresholds_ : of the decoding.
    notes_ : what training had to decide, one sentence each.
    histograms_ : (classes + 1, bins) intensities of each class in training, for the baseline that knows nothing else.
    result_ : what the fit loop says; None in a loaded model.
    """

    def __init__(self, classes: ClassMap, settings: SegmenterSettings, *, device: str = "auto") -> None:
        self.classes, self.settings, self.device = classes, settings, device

    def fit(
        self, train: Sequence[Case], validation: Sequence[Case], *, folder: Path | None, seed: int,
        max_minutes: float | None, resume: bool, progress: bool,
    ) -> Self:  # fmt: skip
        """Plan from the training part, train, and tune the thresholds on the validation part."""
        if folder is not None:
            return self._fit(train, validation, folder, True, seed, max_minutes, resume, progress)
        with tempfile.TemporaryDirectory(prefix="ethomorph-volumes-") as thrown_away:
            return self._fit(train, validation, Path(thrown_away), False, seed, max_minutes, False, progress)

    def _fit(
        self, train: Sequence[Case], validation: Sequence[Case], folder: Path, keep: bool, seed: int,
        max_minutes: float | None, resume: bool, progress: bool,
    ) -> Self:  # fmt: skip
        from ethomorph.training.devices import choose_device
        from ethomorph.training.fit import fit
        from ethomorph.training.randomness import seed_all
        from ethomorph.training.ranks import agreed
        from ethomorph.training.settings import FitSettings
        from ethomorph.volumes.patches import Patches, prepare
        from ethomorph.volumes.training import STEPS_AN_EPOCH, SegmenterModule

        began = time.monotonic()
        self.notes_: list[str] = []
        device = choose_device(self.device)
        planned = resume and (folder / PLAN).is_file()
        self.plan_ = Plan.from_dict(read_facts(folder / PLAN)) if planned else self._make_plan(train, device)
        prepared = folder / "prepared"
        volumes = [prepare(case, self.plan_, self.classes, prepared, seed=seed) for case in train]
        held = [prepare(case, self.plan_, self.classes, prepared, seed=seed) for case in validation]
        self.histograms_ = class_histograms([v.arrays for v in volumes], len(self.classes.names))
        self.plan_ = replaced(self.plan_, empty_below=empty_below(self.histograms_))
        settings = self.settings
        patches = Patches(volumes, self.plan_, settings, count=settings.batch_size * STEPS_AN_EPOCH, seed=seed)
        calm = [v for v in held if v.places]
        check = (
            Patches(calm, self.plan_, settings, count=CALM_PATCHES * len(calm), seed=seed, calm=True) if calm else None
        )
        seed_all(seed)
        module = SegmenterModule(len(self.classes.names) + 1, self.plan_, settings, things=self.classes.things)
        if not planned:
            steps = settings.steps or DEFAULT_STEPS
            if max_minutes is not None:
                left = max_minutes * 60 - (time.monotonic() - began)
                seconds = agreed(step_seconds(module, patches, settings.batch_size, device))
                fitting = max(1, int(0.85 * agreed(left) / seconds))
                if settings.steps and fitting < steps:
                    self.notes_.append(f"to train in time, {fitting} steps were made instead of {steps}")
                steps = min(steps, fitting) if settings.steps else fitting
            self.plan_ = replaced(self.plan_, steps=steps)
            if keep:
                write_facts(folder / PLAN, self.plan_.to_dict())
        warnings.filterwarnings("ignore", message=".*in eval mode at the start of training.*")
        steps = self.plan_.steps
        self.result_: FitResult | None = fit(
            module, loader(patches, settings.workers), loader(check, 0) if check is not None else None,
            settings=FitSettings(
                max_epochs=-(-steps // STEPS_AN_EPOCH), max_steps=steps, max_minutes=max_minutes,
                learning_rate=settings.learning_rate, batch_size=settings.batch_size, patience=0, schedule="cosine",
                rate_warm_up=min(50, steps // 4 + 1), gradient_clip=2.0, seed=seed, workers=settings.workers,
                device=self.device, checkpoint_seconds=60.0 if keep else None,
            ),
            folder=folder, resume=resume and keep, progress=progress, label="segmentation",
        )  # fmt: skip
        self.notes_ += self.result_.notes
        self._network = module.average.eval()
        if self.result_.stop == "interrupt":  # whoever asked to stop waits
            self.notes_.append("interrupted: thresholds of the decoding are the usual ones, not tuned")
            self.thresholds_ = usual(self._typical())
        else:
            self.thresholds_ = self._tuned(validation)
        found = self.thresholds_.to_dict() | {"typical_mm3": self.typical_mm3_}
        self.plan_ = replaced(self.plan_, thresholds=found)
        if keep:
            write_facts(folder / PLAN, self.plan_.to_dict())
        if self.result_.stop in ("epochs", "steps", "early"):
            for file in prepared.glob("*.npy"):
                file.unlink()
            prepared.rmdir()
        return self

    def _make_plan(self, train: Sequence[Case], device: str) -> Plan:
        """Look at every training volume once; refuses classes that no volume has."""
        found = []
        for case in train:
            image = case.read_image()
            found.append(fingerprint(image, self.classes.encode(case.read_labels(image)), self.classes))
        for name in self.classes.names:
            there = sum(f.voxels.get(name, 0) > 0 for f in found)
            if not there:
                raise LabelError(f"class {name!r} has no voxel in the training part",
                                 fix="check its pattern in [task.NAME.classes]")  # fmt: skip
            if there < len(found):
                self.notes_.append(f"class {name} is in {there} of {len(found)} training volumes")
        sizes = [f.instance_mm3 for f in found if f.instances]
        self.typical_mm3_ = float(np.median(sizes)) if sizes else 0.0
        plan = make_plan(found, self.classes, self.settings, gpu=device != "cpu", steps=0)
        return replaced(plan, thresholds={"typical_mm3": self.typical_mm3_})

    def _typical(self) -> float:
        self.typical_mm3_ = float(self.plan_.thresholds.get("typical_mm3", 0.0))
        return self.typical_mm3_

    def _tuned(self, validation: Sequence[Case]) -> Thresholds:
        typical = self._typical()
        if not self.classes.things:
            return Thresholds()
        if not validation:
            self.notes_.append("no validation part: thresholds of the decoding are the usual ones, not tuned")
            return usual(typical)
        found = []
        for case in list(validation)[:TUNED_ON]:
            image = case.read_image()
            outputs = self._outputs(image)
            truth = self.classes.encode(case.read_labels(image)).instances
            if outputs.grid is not image.grid:
                truth = resample_labels(truth, image.grid, outputs.grid)
            found.append((outputs, truth))
        best, quality = tune(found, self.classes.things, typical_mm3=typical)
        self.notes_.append(f"thresholds tuned on {len(found)} validation volumes: PQ {quality:.3f}")
        return best

    def predict_image(
        self, image: ScalarVolume, *, scratch: Path | None = None, memory_limit: int | None = None,
        progress: Callable[[float], None] | None = None,
    ) -> LabelVolume:  # fmt: skip
        """Segment one volume, on its own grid.

        Parameters
        ----------
        scratch : folder for large intermediate arrays; a temporary one where left out.
        memory_limit : bytes that may be used; what is free where left out.

        Raises
        ------
        InputError : the volume cannot fit, with advice.
        """
        need = self.predicted_bytes(image)
        refuse_too_large(need, image.grid.shape, limit=memory_limit, place=image.source)
        with tempfile.TemporaryDirectory(dir=scratch, prefix="ethomorph-volume-") as folder:
            room = Path(folder)
            outputs = self._outputs(image, scratch=room, progress=progress)
            owners: list[int] = []
            instances = None
            if self.classes.things:
                instances, owners = find_things(outputs, self.classes.things, self.thresholds_, scratch=room)
                settle_classes(outputs.classes, instances, owners, self.classes.things)
            array, segments = labelled(outputs, instances, owners, self.classes, image.grid, scratch=scratch)
        share = outputs.skipped / max(1, outputs.tiles)
        notes = (f"{outputs.tiles} patches, {share:.0%} of them empty; predicted to need {need / 2**20:.0f} MiB",)
        return LabelVolume(array[None], image.grid, tuple(segments), image.grid, image.source, notes)

    def predicted_bytes(self, image: ScalarVolume) -> int:
        """Peak resident memory that predicting a volume will take, in bytes."""
        shape = self.plan_.grid_for(image.grid).shape
        need = predicted_bytes(
            shape, self.plan_, classes=len(self.classes.names) + 1, things=bool(self.classes.things),
            itemsize=image.array.dtype.itemsize,
        )  # fmt: skip
        return need if isinstance(image.array, np.memmap) else need + image.array.nbytes

    def _outputs(
        self, image: ScalarVolume, *, scratch: Path | None = None, progress: Callable[[float], None] | None = None
    ) -> Outputs:
        from ethomorph.training.devices import choose_device

        device = choose_device(self.device)
        self._network.to(device)
        return stream(
            image, self._network, self.plan_, classes=len(self.classes.names) + 1, things=self.classes.things,
            scratch=scratch, device=device, progress=progress,
        )  # fmt: skip

    def baseline(self, image: ScalarVolume) -> np.ndarray:
        """(z, y, x) classes by intensity alone: each voxel the class that is most frequent there in training."""
        low, scale = intensity_range(image)
        best = self.histograms_.argmax(axis=0).astype(np.uint8)
        edges = histogram_edges()[1:-1]
        out = np.empty(image.grid.shape, np.uint8)
        for span in slabs(out.shape[0], 16):
            out[span] = best[np.digitize(self.plan_.normalized(image.array[span], low, scale), edges)]
        return out

    def save(self, folder: Path, **more: Any) -> None:
        """Write ``model.safetensors`` and ``model.toml``, which holds the plan and the classes."""
        weights = {name: value.numpy(force=True) for name, value in self._network.state_dict().items()}
        write_arrays(folder / "model.safetensors", weights | {"histograms": self.histograms_})
        table: dict[str, Any] = {
            c.name: {"match": list(c.patterns), "instances": c.instances} for c in self.classes.classes
        }
        facts = {"method": "unet3d", "notes": self.notes_, "settings": self.settings.to_dict(), "classes": table,
                 "plan": self.plan_.to_dict(), "thresholds": self.thresholds_.to_dict()} | more  # fmt: skip
        write_facts(folder / "model.toml", facts)

    @classmethod
    def load(cls, folder: Path, *, device: str = "auto") -> Self:
        """The inverse of `save`; raises FormatError for a damaged folder."""
        import torch

        from ethomorph.volumes.training import build_network

        facts = read_facts(folder / "model.toml")
        with damage_named(folder / "model.toml"):
            model = cls(ClassMap.of(facts["classes"]), SegmenterSettings.from_dict(facts["settings"]), device=device)
            model.plan_ = Plan.from_dict(facts["plan"])
            model.thresholds_ = Thresholds.from_dict(facts["thresholds"])
            model.notes_ = [str(n) for n in facts["notes"]]
        weights = read_arrays(folder / "model.safetensors")
        with damage_named(folder / "model.safetensors"):
            model.histograms_ = weights.pop("histograms")
            count = len(model.classes.names) + 1
            model._network = build_network(count, model.plan_, things=bool(model.classes.things))
            model._network.load_state_dict({k: torch.from_numpy(v) for k, v in weights.items()})
        model._network.eval()
        model.result_ = None
        return model


def labelled(
    outputs: Outputs, instances: Store | None, owners: list[int], classes: ClassMap, grid: Grid, *, scratch: Path | None
) -> tuple[np.ndarray, list[Any]]:
    """Label values on the image's own grid, slab by slab, and their segments."""
    of_class, of_thing, segments = classes.label_table(owners)
    out = Store(grid.shape, of_class.dtype, scratch)
    for span in slabs(grid.shape[0], 32):
        part = grid.cropped((span, slice(None), slice(None)))
        if outputs.grid is grid:
            rows = (span, slice(None), slice(None))
            source = part
        else:
            ends = outputs.grid.to_index(part.corners)[:, 2]
            low = min(max(0, int(np.floor(ends.min())) - 2), outputs.grid.shape[0] - 1)
            high = max(low + 1, min(outputs.grid.shape[0], int(np.ceil(ends.max())) + 3))
            rows = (slice(low, high), slice(None), slice(None))
            source = outputs.grid.cropped(rows)
        array = of_class[outputs.classes.read(rows)]
        if instances is not None:
            ids = instances.read(rows)
            array = np.where(ids > 0, of_thing[ids], array)
        out.write_planes(span.start, array if source is part else resample_shapes(array, source, part))
    whole = out.whole()
    return whole, segments


def class_histograms(volumes: Sequence[dict[str, np.ndarray]], classes: int, bins: int = 128) -> np.ndarray:
    """(classes + 1, bins) how often each class has each intensity; air wins where nothing was seen."""
    edges = histogram_edges(bins)
    counts = np.zeros((classes + 1, bins))
    counts[0] += 0.5
    for arrays in volumes:
        for span in slabs(arrays["image"].shape[0], 16):
            pixels, here = np.asarray(arrays["image"][span], np.float32), np.asarray(arrays["classes"][span])
            for number in range(classes + 1):
                counts[number] += np.histogram(pixels[here == number], edges)[0]
    return counts


def empty_below(histograms: np.ndarray) -> float:
    """Intensity that a tenth of the darkest class stays below, or a fifth of the way from air to bright tissue.

    A patch is normalised by itself, so a network may take the brightest flesh of a patch without bone for bone; a patch
    in which nothing is as bright as any class is not shown to it.
    """
    edges = histogram_edges(histograms.shape[1])
    shares = np.cumsum(histograms[1:], axis=1) / np.maximum(histograms[1:].sum(axis=1, keepdims=True), 1e-9)
    first = (shares >= 0.1).argmax(axis=1)
    return round(max(AIR, float(np.min(edges[first]))), 4)


def histogram_edges(bins: int = 128) -> np.ndarray:
    edges = np.linspace(-1.5, 3.5, bins + 1)
    edges[0], edges[-1] = -np.inf, np.inf
    return edges


def replaced(plan: Plan, **changes: Any) -> Plan:
    from dataclasses import replace

    return replace(plan, **changes)


def loader(patches: Any, workers: int) -> Callable[[int], Any]:
    """A factory of data loaders; the patches are random already, so the order may stay."""
    import torch

    def make(batch_size: int) -> Any:
        return torch.utils.data.DataLoader(patches, batch_size=batch_size, num_workers=workers)

    return make


def step_seconds(module: Any, patches: Any, batch_size: int, device: str) -> float:
    """Seconds that a training step takes, tried out on a copy."""
    import copy

    import torch

    from ethomorph.training.averaging import seconds_a_step

    trial = copy.deepcopy(module).to(device).train()

    def loss(batch: dict[str, Any]) -> Any:
        there = {name: value.to(device) for name, value in batch.items()}
        return torch.stack(list(trial.losses(trial.network, there).values())).sum()

    batches = torch.utils.data.DataLoader(patches, batch_size=batch_size)
    return seconds_a_step(loss, trial.configure_optimizers(), batches, TRIAL_STEPS)

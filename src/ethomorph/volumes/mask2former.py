"""The method ``mask2former``: transformers' Mask2Former slice by slice, merged to volume instances.

From a local folder of pretrained weights, or a small configuration from scratch. For laboratories that have such
models; `unet3d` sees depth, and is the default.
"""

from __future__ import annotations

import difflib
import tempfile
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ethomorph.core.errors import FormatError, InputError, MissingPart
from ethomorph.core.model_files import damage_named, read_arrays, read_facts, write_arrays, write_facts
from ethomorph.core.resample import resample_shapes
from ethomorph.core.volume import LabelVolume, ScalarVolume
from ethomorph.volumes.classes import ClassMap
from ethomorph.volumes.data import Case
from ethomorph.volumes.merge import merge_slices
from ethomorph.volumes.plan import Plan, intensity_range
from ethomorph.volumes.settings import SegmenterSettings
from ethomorph.volumes.slice_codec import PanopticSlice, decode_slice, enlarged, pixels_of
from ethomorph.volumes.unet3d import DEFAULT_STEPS, UNet3dSegmenter, class_histograms, histogram_edges, loader

if TYPE_CHECKING:
    from ethomorph.training.fit import FitResult

AXES = ("z", "y", "x")
STRIDE = 32
"""Sides of what the network sees are multiples of this."""

LARGEST = 3.0
"""Merged things of more than so many times the typical volume are split at necks."""


@dataclass(frozen=True)
class Mask2FormerSettings:
    """Settings of ``mask2former`` in ``[task.NAME.settings]``.

    Parameters
    ----------
    axis : slices are taken across this axis of the array, "z", "y" or "x".
    pretrained : folder with a Mask2Former in transformers' format (config.json and safetensors); from scratch where
        left out. Nothing is downloaded.
    crop : pixels of the square that training cuts from slices, a multiple of 32.
    magnify : slices are enlarged so many times for the network, whose masks are four times coarser than what it sees:
        a thing should be some eight enlarged pixels wide.
    width, queries, decoder_layers : of the small network from scratch.
    steps, batch_size, learning_rate : of the training.
    score, mask, overlap : thresholds of the decoding, see `slice_codec.decode_slice`.
    link, gap : how slices are merged, see `merge.merge_slices`.
    """

    axis: str = "z"
    pretrained: str = ""
    crop: int = 96
    magnify: int = 2
    width: int = 64
    queries: int = 50
    decoder_layers: int = 4
    steps: int = 0
    batch_size: int = 4
    learning_rate: float = 5e-4
    score: float = 0.5
    mask: float = 0.5
    overlap: float = 0.6
    link: float = 0.3
    gap: int = 1
    workers: int = 0

    def __post_init__(self) -> None:
        if self.axis not in AXES:
            raise InputError(repr(self.axis), place="settings.axis", fix="use z, y or x")
        if self.crop < STRIDE or self.crop % STRIDE:
            raise InputError(str(self.crop), place="settings.crop", fix=f"give a multiple of {STRIDE}")
        if not 1 <= self.magnify <= 8:
            raise InputError(str(self.magnify), place="settings.magnify", fix="give 1 to 8")

    @classmethod
    def from_dict(cls, table: dict[str, Any]) -> Self:
        """From study.toml; raises InputError for a key that is not known."""
        known = [f.name for f in fields(cls)]
        for key in table:
            if key not in known:
                close = difflib.get_close_matches(key, known, n=1)
                fix = f"did you mean {close[0]!r}?" if close else f"known keys: {', '.join(known)}"
                raise InputError("unknown key", place=f"settings.{key}", fix=fix)
        return cls(**table)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class Mask2FormerSegmenter:
    """Mask2Former on slices.

    Attributes
    ----------
    plan_ : spacing and normalisation, from the same fingerprint as `unet3d`'s.
    notes_ : what training had to decide.
    """

    def __init__(self, classes: ClassMap, settings: Mask2FormerSettings, *, device: str = "auto") -> None:
        self.classes, self.settings, self.device = classes, settings, device

    def fit(
        self, train: Sequence[Case], validation: Sequence[Case], *, folder: Path | None, seed: int,
        max_minutes: float | None, resume: bool, progress: bool,
    ) -> Self:  # fmt: skip
        """Train on random crops of slices."""
        from ethomorph.training.fit import fit
        from ethomorph.training.randomness import seed_all
        from ethomorph.training.settings import FitSettings
        from ethomorph.volumes.patches import prepare
        from ethomorph.volumes.slice_training import SLICES_A_VOLUME, STEPS_AN_EPOCH, Slices, SlicesModule

        planner = UNet3dSegmenter(self.classes, SegmenterSettings(), device="cpu")
        planner.notes_ = []
        self.plan_ = planner._make_plan(train, "cpu")
        self.notes_: list[str] = list(planner.notes_)
        settings = self.settings
        axis = AXES.index(settings.axis)
        with tempfile.TemporaryDirectory(prefix="ethomorph-slices-") as thrown_away:
            prepared = (folder or Path(thrown_away)) / "prepared"
            volumes = [prepare_ids(prepare, c, self.plan_, self.classes, prepared, seed) for c in train]
            held = [prepare_ids(prepare, c, self.plan_, self.classes, prepared, seed) for c in validation]
            self.histograms_ = class_histograms([v.arrays for v in volumes], len(self.classes.names))
            count = settings.batch_size * STEPS_AN_EPOCH
            slices = Slices(volumes, self.classes, axis, settings.crop, count=count, seed=seed)
            check = Slices(
                held, self.classes, axis, settings.crop, count=SLICES_A_VOLUME * len(held), seed=seed, calm=True
            )
            seed_all(seed)
            module = SlicesModule(self._build(pretrained=settings.pretrained).train(), settings)
            steps = settings.steps or DEFAULT_STEPS
            self.result_: FitResult | None = fit(
                module, loader(slices, settings.workers), loader(check, 0) if held else None,
                settings=FitSettings(
                    max_epochs=-(-steps // STEPS_AN_EPOCH), max_steps=steps, max_minutes=max_minutes,
                    learning_rate=settings.learning_rate, batch_size=settings.batch_size, patience=0,
                    schedule="cosine", rate_warm_up=min(50, steps // 4 + 1), gradient_clip=1.0, seed=seed,
                    workers=settings.workers, device=self.device, checkpoint_seconds=60.0 if folder else None,
                ),
                folder=folder, resume=resume and folder is not None, progress=progress, label="segmentation",
            )  # fmt: skip
        self.notes_ += self.result_.notes
        self._network = module.network.eval()
        return self

    def predict_image(
        self, image: ScalarVolume, *, scratch: Path | None = None, memory_limit: int | None = None,
        progress: Callable[[float], None] | None = None,
    ) -> LabelVolume:  # fmt: skip
        """Segment one volume slice by slice; it is held in memory as a whole."""
        from ethomorph.core.resample import resample_image

        grid = self.plan_.grid_for(image.grid)
        low, scale = intensity_range(image)
        pixels = image.array if grid is image.grid else resample_image(image.array, image.grid, grid)
        axis = AXES.index(self.settings.axis)
        volume = np.moveaxis(self.plan_.normalized(pixels, low, scale), axis, 0)
        found = []
        for number, plane in enumerate(volume):
            found.append(self.predict_plane(plane))
            if progress is not None:
                progress((number + 1) / len(volume))
        typical = float(self.plan_.thresholds.get("typical_mm3", 0.0)) / grid.voxel_mm3
        classes, instances, owners = merge_slices(
            found, self.classes.things, overlap=self.settings.link, gap=self.settings.gap,
            largest_voxels=round(LARGEST * typical) if typical else None,
        )  # fmt: skip
        of_class, of_thing, segments = self.classes.label_table(owners)
        array = np.moveaxis(np.where(instances > 0, of_thing[instances], of_class[classes]), 0, axis)
        array = np.ascontiguousarray(array)
        if grid is not image.grid:
            array = resample_shapes(array, grid, image.grid)
        notes = (f"{len(found)} slices across {self.settings.axis}",)
        return LabelVolume(array[None], image.grid, tuple(segments), image.grid, image.source, notes)

    def predict_plane(self, plane: np.ndarray) -> PanopticSlice:
        """Segments of one normalised (rows, columns) slice."""
        import torch

        from ethomorph.training.devices import choose_device

        device = choose_device(self.device)
        self._network.to(device).eval()
        rows, columns = plane.shape
        padded = np.pad(plane, [(0, -n % STRIDE) for n in plane.shape], constant_values=-1.0)
        with torch.inference_mode():
            pixels = torch.from_numpy(pixels_of(padded))[None].to(device)
            out = self._network(pixel_values=enlarged(pixels, self.settings.magnify))
            masks = torch.nn.functional.interpolate(
                out.masks_queries_logits, size=padded.shape, mode="bilinear", align_corners=False
            )[0].sigmoid()
        stuff = [n for n in range(1, len(self.classes.names) + 1) if n not in self.classes.things]
        return decode_slice(
            out.class_queries_logits[0].float().cpu().numpy(), masks[:, :rows, :columns].float().cpu().numpy(), stuff,
            score=self.settings.score, mask=self.settings.mask, overlap=self.settings.overlap,
        )  # fmt: skip

    def baseline(self, image: ScalarVolume) -> np.ndarray:
        """(z, y, x) classes by intensity alone."""
        low, scale = intensity_range(image)
        edges = histogram_edges()[1:-1]
        best = self.histograms_.argmax(axis=0).astype(np.uint8)
        return best[np.digitize(self.plan_.normalized(image.array, low, scale), edges)]

    def save(self, folder: Path) -> None:
        """Write ``model.safetensors``, ``model.toml`` and transformers' ``config.json``."""
        weights = {name: value.numpy(force=True) for name, value in self._network.state_dict().items()}
        write_arrays(folder / "model.safetensors", weights | {"histograms": self.histograms_})
        self._network.config.to_json_file(folder / "config.json", use_diff=False)
        table: dict[str, Any] = {
            c.name: {"match": list(c.patterns), "instances": c.instances} for c in self.classes.classes
        }
        facts = {"method": "mask2former", "notes": self.notes_, "settings": self.settings.to_dict(),
                 "classes": table, "plan": self.plan_.to_dict()}  # fmt: skip
        write_facts(folder / "model.toml", facts)

    @classmethod
    def load(cls, folder: Path, *, device: str = "auto") -> Self:
        """The inverse of `save`; raises FormatError for a damaged folder."""
        import torch

        facts = read_facts(folder / "model.toml")
        with damage_named(folder / "model.toml"):
            model = cls(ClassMap.of(facts["classes"]), Mask2FormerSettings.from_dict(facts["settings"]), device=device)
            model.plan_ = Plan.from_dict(facts["plan"])
            model.notes_ = [str(n) for n in facts["notes"]]
        weights = read_arrays(folder / "model.safetensors")
        with damage_named(folder / "model.safetensors"):
            model.histograms_ = weights.pop("histograms")
            model._network = model._build(config=folder / "config.json")
            model._network.load_state_dict({k: torch.from_numpy(v) for k, v in weights.items()})
        model._network.eval()
        model.result_ = None
        return model

    def _build(self, *, pretrained: str = "", config: Path | None = None) -> Any:
        """The network: as saved, from a folder of pretrained weights, or small and from scratch."""
        transformers = _transformers()
        network, names = transformers.Mask2FormerForUniversalSegmentation, self.classes.names
        labels = {"id2label": dict(enumerate(names)), "label2id": {n: i for i, n in enumerate(names)}}
        if config is not None:
            return network(transformers.Mask2FormerConfig.from_json_file(config))
        if pretrained:
            folder = Path(pretrained)
            if not (folder / "config.json").is_file() or not list(folder.glob("*.safetensors")):
                raise FormatError("holds no Mask2Former (config.json and .safetensors)", place=folder,
                                  fix="give a folder that transformers' save_pretrained wrote")  # fmt: skip
            try:
                return network.from_pretrained(
                    folder, local_files_only=True, use_safetensors=True, ignore_mismatched_sizes=True, **labels
                )
            except Exception as error:  # whatever transformers finds wrong with the folder
                said = " ".join(str(error).split())[:160]
                raise FormatError(
                    f"no Mask2Former that can be loaded ({said})", place=folder, fix="save it again"
                ) from None
        return network(small_config(transformers, self.settings, labels))


def small_config(transformers: Any, settings: Mask2FormerSettings, labels: dict[str, Any]) -> Any:
    """A network of a few hundred thousand parameters that a CPU can train."""
    width = settings.width
    swin = transformers.SwinConfig(
        image_size=settings.crop * settings.magnify, patch_size=4, num_channels=3, embed_dim=width // 2,
        depths=[2, 2, 2, 1], num_heads=[1, 2, 4, 8], window_size=4, drop_path_rate=0.0,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )  # fmt: skip
    return transformers.Mask2FormerConfig(
        backbone_config=swin, feature_size=width, mask_feature_size=width, hidden_dim=width,
        encoder_feedforward_dim=2 * width, dim_feedforward=4 * width, encoder_layers=2,
        decoder_layers=settings.decoder_layers, num_attention_heads=4, num_queries=settings.queries,
        train_num_points=2048, **labels,
    )  # fmt: skip


def prepare_ids(prepare: Callable[..., Any], case: Case, plan: Plan, classes: ClassMap, folder: Path, seed: int) -> Any:
    """`patches.prepare`, with the volume-wide instance ids beside the other arrays."""
    from ethomorph.volumes.patches import on_grid

    made = prepare(case, plan, classes, folder, seed=seed)
    file = folder / f"{case.name}.instances.npy"
    if not file.is_file():
        image = case.read_image()
        encoded = classes.encode(case.read_labels(image))
        np.save(file, on_grid(encoded, image.grid, plan.grid_for(image.grid)).instances)
    made.arrays["instances"] = np.load(file, mmap_mode="r")
    return made


def _transformers() -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import transformers
    except ImportError:
        raise MissingPart("mask2former needs transformers", fix="pip install 'ethomorph[mask2former]'") from None
    transformers.logging.set_verbosity_error()
    return transformers

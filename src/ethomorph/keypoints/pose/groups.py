"""A pose model described in SLEAP's five groups: Data, Optimization, Augmentation, Model, Heads."""

from __future__ import annotations

from typing import Any

from ethomorph.keypoints.pose.networks import parameters, receptive_field
from ethomorph.keypoints.pose.pipelines.base import Pipeline

Groups = dict[str, dict[str, Any]]


def describe(pipeline: Pipeline, *, method: str, frames: dict[str, int] | None = None, seed: int = 0) -> Groups:
    """Everything as it will be used, what the data decided included.

    Parameters
    ----------
    frames : labelled frames and animals by part, as in ``{"train": 60, "validation": 12}``.
    """
    settings, facts = pipeline.settings, pipeline.facts
    height, width = facts.canvas
    data: dict[str, Any] = {f"{part} frames": count for part, count in (frames or {}).items()}
    data |= {
        "frame size after scaling": f"{width} x {height} px",
        "input scale": settings.data.input_scale,
        "channels": settings.data.channels,
        "pixel mean, deviation": f"{facts.mean:.1f}, {facts.std:.1f} of 255",
        "animals in a frame at most": facts.instances,
    }
    if method == "top_down":
        decided = "from the labelled animals" if not settings.data.crop_px else "as set"
        data["crop"] = f"{facts.crop_px} x {facts.crop_px} px, {decided}"
        data["crops of a frame in a step"] = min(settings.data.crops, facts.instances)
    if method == "bottom_up" and (side := settings.data.window_px):
        data["training windows"] = f"{side} x {side} px about animals; prediction sees whole frames"
    networks = pipeline.networks(pretrained=False)
    field = receptive_field(settings.model)
    model: dict[str, Any] = dict(vars(settings.model).items())
    model["receptive field"] = f"{field} px, {field / settings.data.input_scale:.0f} px of the frame"
    model |= {f"parameters of {name}": f"{parameters(network):,}" for name, network in networks.items()}
    heads: dict[str, Any] = {}
    for name, network_heads in pipeline.heads.items():
        for key, head in network_heads.items():
            channels = ", ".join(getattr(head, "names", ())) or f"{head.shape.channels // 2} edges"
            heads[f"{name}.{key}"] = f"{type(head).__name__}, stride {head.stride}, sigma {head.sigma:g} px: {channels}"
    heads |= {"peak threshold": settings.heads.peak_threshold, "instances": facts.instances}
    if method == "bottom_up":
        heads["grouping"] = settings.heads.grouping
    if method == "top_down":
        heads["anchor"] = settings.heads.anchor or "middle of the nodes"
    return {
        "Data": data,
        "Optimization": dict(vars(settings.optimization)) | {"seed": seed},
        "Augmentation": dict(vars(settings.augmentation)),
        "Model": model,
        "Heads": heads,
    }


def told(groups: Groups, without: list[str] | None = None) -> str:
    """The five groups as text, and below them what a profile asked for that has no counterpart here."""
    lines = []
    for title, table in groups.items():
        lines.append(title)
        wide = max((len(key) for key in table), default=0)
        lines += [f"  {key.replace('_', ' '):<{wide}}  {value}" for key, value in table.items()]
    if without:
        lines += ["Not carried over", *(f"  {line}" for line in without)]
    return "\n".join(lines)

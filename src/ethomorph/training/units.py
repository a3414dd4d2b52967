"""Which units fire: every activation of a forward pass is watched, by module and by call.

Calls are caught where torch is called, not where modules stand, so that a ReLU used twice, in place, or as a function
is seen each time, before it overwrites its input. What counts is whether a gradient passes (see `LayerUnits`), not the
sign: a leaky unit that is always negative is alive.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from ethomorph.training.evidence import MOST_LISTED, LayerUnits

NEARLY = 1e-3  # firing rate under which a unit is nearly dead
NEARLY_SAMPLES = 3000  # samples that it takes to say so: 3 / NEARLY
SAME = 1e-6  # spread over samples, relative to 1 + size, under which an output is constant
GROUP_SAMPLES = 20  # samples of a group before a unit can be called silent in it

FLAT_BELOW = {"relu": 0.0, "gelu": -4.0, "silu": -10.0, "mish": -10.0, "elu": -7.6, "celu": -7.6, "selu": -8.0,
              "softplus": -7.6, "hardswish": -3.0}  # fmt: skip
"""Where the slope of an activation stays under 5e-4 for all smaller input."""
FLAT_BEYOND = {"sigmoid": 7.6, "tanh": 4.5, "hardsigmoid": 3.0}
"""The same on both sides of zero."""
ALWAYS_OPEN = {"leaky_relu", "rrelu", "prelu", "softsign"}
FEATURES_LAST = {"linear", "layer_norm", "rms_norm"}
CHANNELS_SECOND = {"conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d",
                   "batch_norm", "group_norm", "instance_norm"}  # fmt: skip


@dataclass
class Tally:
    """Counts of one activation, on the device of its values."""

    function: str
    two_sided: bool
    fired: torch.Tensor
    extremes: list[torch.Tensor] = field(default_factory=list)
    maybe_constant: bool = True
    by_group: torch.Tensor | None = None  # (groups, units) samples of the group for which the unit fired
    group_samples: torch.Tensor | None = None
    samples: int = 0
    zeros: torch.Tensor | None = None

    def layer(self, name: str, part: str) -> LayerUnits:
        """The counts as plain numbers."""
        rate = self.fired.double() / max(1, self.samples)
        silent = self.fired == 0
        same = self.constant() & ~silent if self.maybe_constant and self.samples > 1 else torch.zeros_like(silent)
        one_group = 0
        if self.by_group is not None and self.group_samples is not None:
            in_group = self.by_group[self.group_samples >= GROUP_SAMPLES] > 0
            one_group = int((in_group.sum(0) == 1).sum()) if len(in_group) > 1 else 0
        nearly = (rate < NEARLY) & ~silent if self.samples >= NEARLY_SAMPLES else torch.zeros_like(silent)
        return LayerUnits(
            layer=name,
            function=self.function,
            units=len(rate),
            samples=self.samples,
            part=part,
            dead=0 if self.two_sided else int(silent.sum()),
            saturated=int(silent.sum()) if self.two_sided else 0,
            nearly_dead=int(nearly.sum()),
            constant=int(same.sum()),
            rate=float(rate.mean()),
            zeros=None if self.zeros is None else float(self.zeros),
            one_group=one_group,
            which=silent.nonzero().flatten()[:MOST_LISTED].tolist(),
        )

    def add_extremes(self, high: torch.Tensor, low: torch.Tensor) -> None:
        """Follow each unit's largest and smallest value over samples, until none can be constant any more."""
        now = [high.amin(0), high.amax(0), low.amin(0), low.amax(0)]
        if self.extremes:
            pick = (torch.minimum, torch.maximum, torch.minimum, torch.maximum)
            now = [choose(a, b) for choose, a, b in zip(pick, self.extremes, now, strict=True)]
        self.extremes = now
        self.maybe_constant = self.samples < 2 or bool(self.constant().any())

    def add_groups(self, fired: torch.Tensor, groups: torch.Tensor) -> None:
        """Count by group: `fired` (samples, units), `groups` (samples,) numbers."""
        number = int(groups.max()) + 1
        if self.by_group is None or self.group_samples is None:
            self.by_group, self.group_samples = self.fired.new_zeros(0, fired.shape[1]), self.fired.new_zeros(0)
        if (missing := number - len(self.by_group)) > 0:
            self.by_group = torch.cat([self.by_group, self.by_group.new_zeros(missing, fired.shape[1])])
            self.group_samples = torch.cat([self.group_samples, self.group_samples.new_zeros(missing)])
        groups = groups.to(fired.device)
        self.by_group.index_add_(0, groups, fired.long())
        self.group_samples.index_add_(0, groups, torch.ones_like(groups))

    def constant(self) -> torch.Tensor:
        """Which units had the same largest and the same smallest value in every sample so far."""
        least, most = torch.stack(self.extremes[::2]), torch.stack(self.extremes[1::2])
        return ((most - least) <= SAME * (1 + most.abs())).all(0)

    @property
    def silent(self) -> set[int]:
        """Numbers of the units that never fired."""
        return set((self.fired == 0).nonzero().flatten().tolist())


class UnitRecorder(TorchFunctionMode):
    """Count which units fire while the recorder is `on`.

    Attributes
    ----------
    tallies : layer name to its counts since `begin`.
    seconds : spent on counting, in all.

    Examples
    --------
    >>> net = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU())
    >>> _ = net[0].weight.data.copy_(torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 0.0]]))
    >>> _ = net[0].bias.data.copy_(torch.tensor([0.0, 0.0, -1.0]))
    >>> recorder = UnitRecorder()
    >>> with recorder.watching(net), torch.no_grad():
    ...     _ = net(torch.tensor([[1.0, 0.0], [2.0, 0.0], [-1.0, 0.0]]))
    >>> layer, = recorder.layers()
    >>> layer.layer, layer.units, layer.dead, layer.which, layer.samples
    ('1', 3, 1, [2], 3)
    """

    def __init__(self) -> None:
        super().__init__()
        self.tallies: dict[str, Tally] = {}
        self.groups: torch.Tensor | None = None
        self.group_numbers: dict[Any, int] = {}
        self.stack: list[str] = []
        self.calls: dict[str, int] = {}
        self.axis = 1
        self.handles: list[Any] = []
        self.is_on = False
        self.seconds = 0.0

    def begin(self) -> None:
        """Forget all counts."""
        self.tallies = {}

    @contextlib.contextmanager
    def watching(self, module: torch.nn.Module, groups: Sequence[Any] | None = None) -> Iterator[None]:
        """Watch the forward passes inside the block."""
        self.on(module, groups)
        try:
            yield
        finally:
            self.off()

    def on(self, module: torch.nn.Module, groups: Sequence[Any] | None = None) -> None:
        """Start watching one step; `groups` names the group of each of its samples."""
        self.off()
        self.stack, self.calls, self.axis = [""], {}, 1
        self.groups = self.numbered(groups) if groups is not None else None
        for name, part in module.named_modules():
            self.handles.append(part.register_forward_pre_hook(self.entering(name)))
            self.handles.append(part.register_forward_hook(self.leaving, always_call=True))
        self.__enter__()
        self.is_on = True

    def off(self) -> None:
        """Stop watching; harmless where nothing is watched."""
        if self.is_on:
            self.is_on = False
            self.__exit__(None, None, None)
        for handle in self.handles:
            handle.remove()
        self.handles = []

    def numbered(self, groups: Sequence[Any]) -> torch.Tensor:
        names = groups.tolist() if isinstance(groups, torch.Tensor) else list(groups)
        return torch.tensor([self.group_numbers.setdefault(name, len(self.group_numbers)) for name in names])

    def entering(self, name: str) -> Callable[..., None]:
        def enter(module: torch.nn.Module, inputs: Any) -> None:
            self.stack.append(name)

        return enter

    def leaving(self, module: torch.nn.Module, inputs: Any, output: Any) -> None:
        if len(self.stack) > 1:
            self.stack.pop()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "").rstrip("_")
        if name in FEATURES_LAST:
            self.axis = -1
        elif name in CHANNELS_SECOND:
            self.axis = 1
        elif (opening := opening_of(name, args, kwargs)) is not None:
            values = args[0] if args else kwargs["input"]
            inside = len(self.stack) > 1 or name == "relu"
            if inside and isinstance(values, torch.Tensor) and values.ndim > 1 and values.is_floating_point():
                began = time.perf_counter()
                with torch.no_grad():
                    self.count(name, opening, values.detach())
                self.seconds += time.perf_counter() - began
        return func(*args, **kwargs)

    def count(self, function: str, opening: tuple[float | None, float | None], values: torch.Tensor) -> None:
        """Add one call's input (samples, ..., units, ...) to the counts of its layer."""
        place = self.stack[-1] or "step"
        self.calls[place] = self.calls.get(place, 0) + 1
        name = place if self.calls[place] == 1 else f"{place}#{self.calls[place]}"
        if self.axis == -1 and values.ndim > 2:
            values = values.movedim(-1, 1)
        other = tuple(range(2, values.ndim))
        high = values.amax(other) if other else values
        below, beyond = opening
        if below is not None and beyond is not None:
            middle, half = (below + beyond) / 2, (beyond - below) / 2
            distance = (values - middle).abs()
            fired = ~((distance.amin(other) if other else distance) >= half)
        else:
            fired = ~(high <= below) if below is not None else torch.ones_like(high, dtype=torch.bool)
        tally = self.tallies.get(name)
        if tally is None or tally.fired.shape != fired.shape[1:]:
            tally = Tally(function, beyond is not None, torch.zeros_like(fired[0], dtype=torch.int64))
            tally.zeros = share_in_flat(values, below, beyond)
            self.tallies[name] = tally
        tally.fired = tally.fired + fired.sum(0)
        tally.samples += len(fired)
        if tally.maybe_constant:
            tally.add_extremes(high, values.amin(other) if other else values)
        if self.groups is not None and len(self.groups) == len(fired):
            tally.add_groups(fired, self.groups)

    def layers(self, part: str = "validation") -> list[LayerUnits]:
        """Every layer's counts, in the order in which they were first called."""
        return [tally.layer(name, part) for name, tally in self.tallies.items()]


def opening_of(name: str, args: Any, kwargs: Any) -> tuple[float | None, float | None] | None:
    """Between which inputs an activation lets a gradient pass (None: no bound); None where it is no activation.

    >>> opening_of("hardtanh", (None, 0.0, 6.0), {}), opening_of("leaky_relu", (None,), {}), opening_of("add", (), {})
    ((0.0, 6.0), (None, None), None)
    """
    if name in FLAT_BELOW:
        return FLAT_BELOW[name], None
    if name in FLAT_BEYOND:
        return -FLAT_BEYOND[name], FLAT_BEYOND[name]
    if name == "leaky_relu":
        slope = args[1] if len(args) > 1 else kwargs.get("negative_slope", 0.01)
        return (0.0 if slope == 0 else None), None
    if name in ALWAYS_OPEN:
        return None, None
    if name in ("hardtanh", "relu6"):
        if name == "relu6":
            return 0.0, 6.0
        low = args[1] if len(args) > 1 else kwargs.get("min_val", -1.0)
        high = args[2] if len(args) > 2 else kwargs.get("max_val", 1.0)
        return float(low), float(high)
    if name in ("clamp", "clamp_min", "clip"):
        low = args[1] if len(args) > 1 else kwargs.get("min")
        high = args[2] if len(args) > 2 else kwargs.get("max")
        return (0.0, None) if isinstance(low, (int, float)) and low == 0 and high is None else None
    return None


def share_in_flat(values: torch.Tensor, below: float | None, beyond: float | None) -> torch.Tensor:
    """Share of single values in the flat part."""
    flat = torch.zeros_like(values, dtype=torch.bool)
    if below is not None:
        flat = values <= below
    if beyond is not None:
        flat = flat | (values >= beyond)
    return flat.float().mean()

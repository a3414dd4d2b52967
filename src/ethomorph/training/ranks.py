"""Several processes that train one network together: which of them this one is, and what all of them agree on.

They are started from outside, by torchrun or by Slurm, and told of each other by torchrun's variables. Each takes its
share of every batch, so a training in several processes sees the batches, seeds and stops of one in a single process;
the first alone writes the run. Nothing here is of any effect in a single process.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from ethomorph.core.errors import InputError

Value = TypeVar("Value")
NEEDED = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
PATIENCE = timedelta(minutes=30)
"""How long a process waits for the others, which may still be reading their data or validating."""


@dataclass(frozen=True)
class Ranks:
    """This process among those that train together.

    Attributes
    ----------
    rank : its number, from 0.
    world : how many there are.
    local : its number on this machine, from 0, which is also the number of its GPU.
    """

    rank: int = 0
    world: int = 1
    local: int = 0

    @property
    def several(self) -> bool:
        return self.world > 1

    @property
    def first(self) -> bool:
        return self.rank == 0


def ranks() -> Ranks:
    """As torchrun's variables say; a process alone where they are not set."""
    if any(name not in os.environ for name in NEEDED):
        return Ranks()
    return Ranks(int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]), int(os.environ.get("LOCAL_RANK", 0)))


def join() -> Ranks:
    """Meet the other processes; does nothing in a single one, or a second time."""
    mine = ranks()
    if mine.several:
        import torch
        from torch import distributed

        if torch.cuda.is_available():
            torch.cuda.set_device(mine.local % torch.cuda.device_count())
        if not distributed.is_initialized():
            distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo", timeout=PATIENCE)
    return mine


def leave() -> None:
    """Part from the other processes, where there are any."""
    if ranks().several:
        from torch import distributed

        if distributed.is_initialized():
            distributed.destroy_process_group()


def agreed(value: Any) -> Any:
    """The first process's value of something that each finds for itself, such as how many steps fit into the time."""
    if not ranks().several:
        return value
    from torch import distributed

    box = [value]
    distributed.broadcast_object_list(box, src=0)
    return box[0]


def gathered(value: Any) -> list[Any]:
    """Every process's value, in their order."""
    mine = ranks()
    if not mine.several:
        return [value]
    from torch import distributed

    found: list[Any] = [None] * mine.world
    distributed.all_gather_object(found, value)
    return found


def decided(find: Callable[[], Value]) -> Value:
    """What the first process finds, or the InputError that it meets; the others do not look for themselves."""
    mine = ranks()
    if not mine.several:
        return find()
    said: tuple[Any, InputError | None] = (None, None)
    if mine.first:
        try:
            said = (find(), None)
        except InputError as error:
            said = (None, error)
    value, refusal = agreed(said)
    if refusal is not None:
        raise refusal
    return value  # type: ignore[no-any-return]


def refuse_uneven(batch_size: int) -> None:
    """Raise InputError where a batch cannot be shared out evenly, since its gradient would be another."""
    world = ranks().world
    if batch_size % world:
        raise InputError(
            f"{batch_size} samples cannot be shared evenly by {world} processes", place="batch_size",
            fix=f"set it to a multiple of {world}",
        )  # fmt: skip


class Share:
    """This process's part of each batch of a batch sampler; an incomplete last batch gives everyone at least one."""

    def __init__(self, batches: Any, mine: Ranks) -> None:
        self.batches, self.mine = batches, mine

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[list[int]]:
        for batch in self.batches:
            yield batch[self.mine.rank :: self.mine.world] or batch[-1:]

    @property
    def sampler(self) -> Any:
        """What draws the order, for whoever seeds it."""
        return self.batches.sampler


def shared_out(loader: Any) -> Any:
    """A torch DataLoader that reads this process's part of each batch alone; the same loader in a single process."""
    mine = ranks()
    if not mine.several:
        return loader
    from torch.utils.data import DataLoader

    return DataLoader(
        loader.dataset, batch_sampler=Share(loader.batch_sampler, mine), num_workers=loader.num_workers,
        collate_fn=loader.collate_fn, pin_memory=loader.pin_memory, generator=loader.generator,
        worker_init_fn=loader.worker_init_fn,
    )  # fmt: skip


def trainer_options() -> dict[str, Any]:
    """What Lightning's Trainer needs to know: a process here has one device, and who the others are."""
    import torch
    from lightning.fabric.plugins.environments import LightningEnvironment, TorchElasticEnvironment
    from lightning.pytorch.strategies import DDPStrategy

    class OneDeviceEach(TorchElasticEnvironment):
        """Each process counts as a node of its own, since it chose its device itself."""

        def local_rank(self) -> int:
            return 0

        def node_rank(self) -> int:
            return self.global_rank()

    mine = ranks()
    if not mine.several:
        return {"plugins": [LightningEnvironment()]}
    return {
        "plugins": [OneDeviceEach()],
        "strategy": DDPStrategy(find_unused_parameters=True, timeout=PATIENCE),
        "num_nodes": mine.world,
        "sync_batchnorm": torch.cuda.is_available(),  # which PyTorch has for GPUs only
    }

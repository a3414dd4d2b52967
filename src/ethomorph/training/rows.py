"""Units that cannot learn: rows of a weight matrix whose gradient is exactly zero over a whole epoch.

The one test that holds for every activation. Exact and cheap: a row is looked at until its first gradient, so that a
healthy network is done after the first steps.
"""

from __future__ import annotations

import torch


class RowWatch:
    """Which rows of the weight matrices of `module` had no gradient since `begin`.

    Examples
    --------
    >>> net = torch.nn.Linear(2, 3)
    >>> watch = RowWatch(net)
    >>> net(torch.ones(4, 2))[:, :2].sum().backward()
    >>> watch.look()
    >>> watch.silent()
    {'weight': [1, 3]}
    """

    def __init__(self, module: torch.nn.Module) -> None:
        self.weights = matrices(module)
        self.begin()

    def begin(self) -> None:
        """Start another epoch."""
        self.steps = 0
        self.waiting: dict[str, torch.Tensor] = {
            name: torch.ones(weight.shape[axis], dtype=torch.bool, device=weight.device)
            for name, (weight, axis) in self.weights.items()
        }

    @torch.no_grad()
    def look(self) -> None:
        """See the gradients of one step."""
        self.steps += 1
        for name, waiting in list(self.waiting.items()):
            weight, axis = self.weights[name]
            if weight.grad is not None and not weight.grad.is_sparse:
                waiting &= ~(weight.grad != 0).transpose(0, axis).flatten(1).any(1)
        if self.steps & (self.steps - 1) == 0:  # seldom, since a GPU has to be waited for
            self.waiting = {name: rows for name, rows in self.waiting.items() if bool(rows.any())}

    def silent(self) -> dict[str, list[int]]:
        """Weight matrix to [rows without any gradient so far, rows], where there are any."""
        counts = {name: [int(rows.sum()), len(rows)] for name, rows in self.waiting.items()}
        return {name: count for name, count in counts.items() if count[0]} if self.steps else {}


def matrices(module: torch.nn.Module) -> dict[str, tuple[torch.nn.Parameter, int]]:
    """Trainable weights with an incoming side: name to the weight and the axis along which its units lie."""
    found: dict[str, tuple[torch.nn.Parameter, int]] = {}
    seen: set[int] = set()
    for prefix, part in module.named_modules():
        if isinstance(part, (torch.nn.Embedding, torch.nn.EmbeddingBag)):
            seen |= {id(p) for p in part.parameters()}
            continue
        turned = isinstance(part, (torch.nn.ConvTranspose1d, torch.nn.ConvTranspose2d, torch.nn.ConvTranspose3d))
        for name, weight in part.named_parameters(recurse=False):
            if weight.ndim > 1 and weight.requires_grad and id(weight) not in seen:
                seen.add(id(weight))
                found[f"{prefix}.{name}".lstrip(".")] = (weight, 1 if turned else 0)
    return found

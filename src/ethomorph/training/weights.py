"""What can be told from a network before its first step: size of its weights, copies among its units, its layers."""

from __future__ import annotations

import torch

from ethomorph.training.rows import matrices


@torch.no_grad()
def initial_weights(module: torch.nn.Module) -> dict[str, dict[str, float]]:
    """Weight matrix to its gain (root mean square times root of fan-in), units, and the share that are copies.

    The gain is 1.41 after He et al. (2015), 1 after LeCun, 0.58 as torch initialises linear and convolution layers.

    Examples
    --------
    >>> net = torch.nn.Linear(100, 50)
    >>> _ = torch.nn.init.kaiming_normal_(net.weight)
    >>> found = initial_weights(net)["weight"]
    >>> bool(1.35 < found["gain"] < 1.48), found["identical"]
    (True, 0.0)
    """
    found = {}
    for name, (weight, axis) in matrices(module).items():
        rows = weight.detach().transpose(0, axis).flatten(1).double()
        units, fan_in = rows.shape
        # equal rows have equal projections, different ones almost never
        mix = torch.cos(torch.arange(1, fan_in + 1, dtype=torch.float64, device=rows.device) ** 1.5)
        projected = (rows @ mix).sort().values
        copies = int((projected[1:] == projected[:-1]).sum())
        found[name] = {
            "gain": float(rows.square().mean().sqrt()) * fan_in**0.5,
            "identical": copies / units,
            "units": float(units),
        }
    return found


def recurrent_relu(module: torch.nn.Module) -> list[str]:
    """Names of recurrent layers with a ReLU, whose state can grow without bound."""
    return [
        name or type(part).__name__
        for name, part in module.named_modules()
        if getattr(part, "nonlinearity", "") == "relu" and isinstance(part, (torch.nn.RNN, torch.nn.RNNCell))
    ]

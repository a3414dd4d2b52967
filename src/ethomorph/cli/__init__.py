"""What a person types: one small file a verb, no logic."""

from __future__ import annotations


def main() -> None:
    """Entry point of the ``ethomorph`` command."""
    from ethomorph.cli.app import run

    run()

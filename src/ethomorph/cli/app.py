"""The command line's frame: verbs, exit codes, and how errors reach a person.

Exit 0 on success, 2 on bad input with one line, 1 on a failure of ours. No traceback unless ``--debug`` is given.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from ethomorph.cli import (
    align,
    audit,
    compare,
    convert,
    demo,
    diagnose,
    doctor,
    identify,
    jobs,
    measure,
    new,
    predict,
    render,
    report,
    review,
    score,
    split,
    suggest,
    sweep,
    train,
)

INTERRUPTED = 130
"""Exit code of a command that was stopped and can go on."""

app = typer.Typer(
    name="ethomorph",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="Measurements that survive review, from radiographs, CT volumes, video and footprints.",
    epilog="Begin with `ethomorph demo`, or `ethomorph new wings --kind landmarks --labels wings.tps --images photos`.",
)

for verb in (
    demo.demo,
    new.new,
    convert.convert,
    audit.audit,
    split.split,
    train.train,
    predict.predict,
    render.render,
    suggest.suggest,
    score.score,
    diagnose.diagnose,
    sweep.sweep,
    compare.compare,
    identify.identify,
    align.align,
    report.report,
    review.review,
    jobs.jobs,
    doctor.doctor,
):
    app.command()(verb)
app.add_typer(measure.app, name="measure")


def show_version(asked: bool) -> None:
    if asked:
        from ethomorph import __version__

        print(__version__)
        raise typer.Exit


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of a failure.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    if debug:
        os.environ["ETHOMORPH_DEBUG"] = "1"


def run(arguments: list[str] | None = None) -> None:
    """Run one command and leave with its exit code."""
    sys.exit(execute(arguments))


def execute(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code; every failure has been told on standard error."""
    try:
        app(args=arguments, prog_name="ethomorph")
    except SystemExit as leaving:
        if (stopped := _interruption(leaving)) is not None:
            return _interrupted(stopped)
        return leaving.code if isinstance(leaving.code, int) else 0
    except KeyboardInterrupt as early:
        return _interrupted(early)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        return _explain(error)
    return 0


def _interruption(leaving: SystemExit) -> KeyboardInterrupt | None:
    """What stopped a command that typer left without a word."""
    error: BaseException | None = leaving
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error


def _interrupted(stopped: KeyboardInterrupt) -> int:
    print(str(stopped) or "stopped by Ctrl-C; what was finished is on disk", file=sys.stderr)
    return INTERRUPTED


def _explain(error: Exception) -> int:
    from ethomorph.core.errors import InputError

    if os.environ.get("ETHOMORPH_DEBUG"):
        import traceback

        traceback.print_exc()
    if isinstance(error, InputError):
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 2
    if isinstance(error, OSError) and error.filename is not None:
        print(f"{error.filename}: {error.strerror}", file=sys.stderr)
        return 2
    if isinstance(error, OSError) and error.errno is not None:
        print(f"{os.strerror(error.errno)}; nothing was left half-written", file=sys.stderr)
        return 1
    print(f"internal failure, {type(error).__name__}: {' '.join(str(error).split())[:300]}", file=sys.stderr)
    print("run again with `ethomorph --debug ...` and report what it prints", file=sys.stderr)
    return 1

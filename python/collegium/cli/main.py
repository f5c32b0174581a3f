"""The `collegium` command: exit code 0 done, 2 the user's mistake, 1 ours."""

from __future__ import annotations

import os
import sys
import textwrap
from typing import Annotated

import typer

from collegium.cli import clean, doctor, graph, info, predict, report, run
from collegium.errors import UserError

app = typer.Typer(
    name="collegium",
    help="Distil the reasoning of several teacher language models into one small student.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
run.register(app)
clean.register(app)
predict.register(app)
report.register(app)
doctor.register(app)
info.register(app)
graph.register(app)


def _version(show: bool) -> None:
    if show:
        import collegium

        typer.echo(f"collegium {collegium.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def entry() -> None:
    """Run the command line; never show a traceback for a user's mistake."""
    # Nothing here needs a hub; a missing file must not turn into a network time-out.
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        app()
    except UserError as error:
        print(textwrap.fill(f"error: {error}", 100, break_long_words=False), file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("interrupted; start the same command again to go on", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)

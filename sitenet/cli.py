"""The command `sitenet`."""

import argparse
import io
import sys
from collections.abc import Sequence
from pathlib import Path

from sitenet.errors import UserError


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs a subcommand; what the user can put right ends as one line and status 1."""
    parser = argparse.ArgumentParser(prog="sitenet", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="command")
    _add_predict(commands)
    _add_sync(commands)
    args = parser.parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal may lack letters that ids have
    try:
        args.run(args)
    except UserError as error:
        print(f"sitenet: {error}", file=sys.stderr)
        sys.exit(1)


def _add_predict(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser("predict", help="predict the crystals in structure files with a trained network")
    parser.add_argument("checkpoint", type=Path, help="best.pt of a finished run")
    parser.add_argument("paths", nargs="+", type=Path, metavar="path", help="structure file, or a folder of them")
    parser.add_argument(
        "--ensemble",
        action="append",
        type=Path,
        default=[],
        metavar="CHECKPOINT",
        help="average with the predictions of this checkpoint too, and tell how far all spread; may be repeated",
    )
    parser.add_argument("--attention", type=Path, metavar="OUT.npz", help="write the attention maps too")
    parser.add_argument("--out", type=Path, metavar="FILE", help="CSV file of the predictions; printed when left out")
    parser.set_defaults(run=_predict)


def _predict(args: argparse.Namespace) -> None:
    from sitenet.predict_files import predict_files

    predict_files([args.checkpoint, *args.ensemble], args.paths, args.out, args.attention)


def _add_sync(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser("sync", help="upload runs tracked offline to Weights & Biases")
    parser.add_argument("benchmarks", nargs="*", help="names of benchmarks; all when left out")
    parser.add_argument("--directory", type=Path, default=Path(), help="the workflow's; the current one when left out")
    parser.set_defaults(run=_sync)


def _sync(args: argparse.Namespace) -> None:
    from sitenet.tracking.sync import sync

    sync(args.directory.resolve(), args.benchmarks)

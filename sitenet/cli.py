"""The command `sitenet`: predict with a trained network, upload tracked runs."""

import argparse
import io
import sys
from collections.abc import Sequence
from pathlib import Path

from sitenet.errors import UserError


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs a subcommand; an error that the user can fix is printed as one line, with exit status 1."""
    parser = argparse.ArgumentParser(
        prog="sitenet", description="Predict with a trained network, or upload tracked runs."
    )
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
    parser = commands.add_parser("predict", help="predict properties of crystals in structure files")
    parser.add_argument("checkpoint", type=Path, help="checkpoint of a trained network: best.pt of a finished run")
    parser.add_argument(
        "paths", nargs="+", type=Path, metavar="path", help="structure file, or folder to search for structure files"
    )
    parser.add_argument(
        "--ensemble",
        action="append",
        type=Path,
        default=[],
        metavar="CHECKPOINT",
        help="checkpoint to average with, with the standard deviation in the column 'spread'; may be repeated",
    )
    parser.add_argument(
        "--attention", type=Path, metavar="FILE.npz", help="also write the attention weights to this file"
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="CSV file for the predictions (default: print them)")
    parser.set_defaults(run=_predict)


def _predict(args: argparse.Namespace) -> None:
    from sitenet.prediction.files import predict_files

    predict_files([args.checkpoint, *args.ensemble], args.paths, args.out, args.attention)


def _add_sync(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser("sync", help="upload runs that were tracked offline to Weights & Biases")
    parser.add_argument("benchmarks", nargs="*", metavar="benchmark", help="name of a benchmark (default: all)")
    parser.add_argument(
        "--directory", type=Path, default=Path(), help="working directory of the workflow (default: the current one)"
    )
    parser.set_defaults(run=_sync)


def _sync(args: argparse.Namespace) -> None:
    from sitenet.tracking.sync import sync

    sync(args.directory.resolve(), args.benchmarks)

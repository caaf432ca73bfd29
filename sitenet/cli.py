"""The command `sitenet`, also `python -m sitenet`: predict, import the original's networks, upload tracked runs."""

import argparse
import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import shtab

import sitenet
from sitenet.errors import UserError

DESCRIPTION = """\
sitenet measures how well machine learning predicts a property of a crystal from its structure.
Benchmarks are run by Snakemake; this command does what comes after: predict crystals with a trained
network, import networks of the authors of Site-Net, and upload runs that were tracked offline to Weights & Biases."""
EXAMPLES = """\
examples:
  snakemake --cores 2                                          run the benchmark of config.yaml
  snakemake --cores 2 --configfile configs/quick.yaml          run another one
  sitenet predict results/runs/NAME/TRIAL/fold0/seed0/best.pt my.cif
  sitenet predict best.pt folder_of_cifs --out predictions.csv
  sitenet sync                                                 upload what was tracked
  eval "$(sitenet --print-completion bash)"                    complete commands and options in this shell"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs a subcommand; an error that the user can fix is printed as one line, with exit status 1."""
    parser = argparse.ArgumentParser(
        prog="sitenet",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"sitenet {sitenet.__version__}")
    shtab.add_argument_to(parser, help="print a script that completes commands and options in a shell, and end")
    commands = parser.add_subparsers(required=True, metavar="command")
    _add_predict(commands)
    _add_import_original(commands)
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
    _add_path(parser, "checkpoint", help="checkpoint of a trained network: best.pt of a finished run")
    _add_path(
        parser, "paths", nargs="+", metavar="path", help="structure file, or folder to search for structure files"
    )
    _add_path(
        parser,
        "--ensemble",
        action="append",
        default=[],
        metavar="CHECKPOINT",
        help="checkpoint to average with, with the standard deviation in the column 'spread'; may be repeated",
    )
    _add_path(parser, "--attention", metavar="FILE.npz", help="also write the attention weights to this file")
    _add_path(parser, "--out", metavar="FILE", help="CSV file for the predictions (default: print them)")
    parser.set_defaults(run=_predict)


def _predict(args: argparse.Namespace) -> None:
    from sitenet.prediction.files import predict_files

    predict_files([args.checkpoint, *args.ensemble], args.paths, args.out, args.attention)


def _add_import_original(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "import-original", help="convert a checkpoint of the authors of Site-Net to predict with"
    )
    _add_path(parser, "checkpoint", help="checkpoint of the original implementation (PyTorch Lightning)")
    _add_path(parser, "--out", default=Path("best.pt"), metavar="FILE", help="file to write (best.pt)")
    _add_path(parser, "--config", metavar="FILE.yaml", help="the original's configuration of this network")
    parser.add_argument("--max-sites", type=int, metavar="N", help="largest number of sites in its supercells")
    parser.add_argument("--target", default="band_gap", help="name of its target (band_gap)")
    parser.add_argument("--unit", default="eV", help="unit of its target (eV)")
    parser.set_defaults(run=_import_original)


def _import_original(args: argparse.Namespace) -> None:
    from sitenet.prediction.original.convert import import_original

    print(import_original(args.checkpoint, args.out, args.config, args.max_sites, args.target, args.unit))


def _add_sync(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser("sync", help="upload runs that were tracked offline to Weights & Biases")
    parser.add_argument("benchmarks", nargs="*", metavar="benchmark", help="name of a benchmark (default: all)")
    _add_path(
        parser, "--directory", default=Path(), help="working directory of the workflow (default: the current one)"
    )
    parser.set_defaults(run=_sync)


def _sync(args: argparse.Namespace) -> None:
    from sitenet.tracking.sync import sync

    sync(args.directory.resolve(), args.benchmarks)


def _add_path(parser: argparse.ArgumentParser, name: str, **options: Any) -> None:
    """Adds an argument that a shell completes with the names of files."""
    parser.add_argument(name, type=Path, **options).complete = shtab.FILE  # type: ignore[attr-defined]

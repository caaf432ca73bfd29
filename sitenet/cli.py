"""The command `sitenet`, also `python -m sitenet`: predict, explain, show models, import networks, upload runs."""

import argparse
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import shtab

import sitenet
from sitenet.errors import UserError

DESCRIPTION = """\
sitenet measures how well machine learning predicts a property of a crystal from its structure.
Benchmarks are run by Snakemake; this command does the rest: predict crystals with networks that come with it or
that you trained, explain a prediction, import networks of the authors of Site-Net, and upload runs that were tracked
offline."""
EXAMPLES = """\
examples:
  snakemake --cores 2                                          run the benchmark of config.yaml
  snakemake --cores 2 --configfile configs/quick.yaml          run another one
  sitenet predict my.cif folder/ data.zip                      band gaps by the model that comes with sitenet
  sitenet predict folder/ --out gaps.csv --model results/runs/NAME/TRIAL/fold0
  sitenet explain my.cif                                       a page about one crystal and its prediction
  sitenet models                                               what models come with sitenet
  sitenet sync                                                 upload what was tracked
  eval "$(sitenet --print-completion bash)"                    complete commands and options in this shell"""

PATHS = (
    "structure file (CIF, POSCAR, extended XYZ, JSON of pymatgen or ASE), folder, zip or tar archive, table (Parquet, "
    "Matbench's json.gz), id of the Materials Project such as mp-149, or - for a list of these on standard input"
)
MODELS = (
    "name of a model (see `sitenet models`), checkpoint best.pt, or folder of seeds; repeated, their predictions are "
    "averaged (band-gap)"
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs a subcommand; an error that the user can put right is one line, with exit status 1."""
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
    _add_models(commands)
    _add_explain(commands)
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
    except KeyboardInterrupt:
        sys.exit(130)  # as shells say that Ctrl-C ended a command
    except BrokenPipeError:  # what reads the output has seen enough; Python would complain once more at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _add_predict(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser("predict", help="predict a property of crystals")
    _add_path(parser, "paths", str, nargs="+", metavar="path", help=PATHS)
    _add_path(parser, "--model", str, action="append", metavar="MODEL", help=MODELS)
    _add_path(parser, "--out", metavar="FILE", help="file for the predictions; its suffix tells the format")
    parser.add_argument("--format", choices=("table", "csv", "jsonl", "parquet"), help="format of the predictions")
    _add_path(parser, "--attention", metavar="FILE.npz", help="also write the attention weights to this file")
    parser.add_argument("--cores", type=_count, metavar="N", help="processes that share the work (all cores)")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="where to compute (auto)")
    parser.set_defaults(run=_predict)


def _predict(args: argparse.Namespace) -> None:
    from sitenet.prediction.card import DEFAULT
    from sitenet.prediction.command import predict_command

    predict_command(args.paths, args.model or DEFAULT, args.out, args.format, args.attention, args.cores, args.device)


def _add_models(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser("models", help="list the models to predict with, or show the card of one")
    parser.add_argument("name", nargs="?", metavar="MODEL", help="model whose card to show")
    parser.set_defaults(run=_models)


def _models(args: argparse.Namespace) -> None:
    from sitenet.prediction.card_text import list_models, show_model

    print(show_model(args.name) if args.name else list_models())


def _add_explain(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser("explain", help="explain the prediction of one crystal on a page to open in a browser")
    _add_path(parser, "crystal", str, help="one crystal, in whatever `sitenet predict` takes")
    _add_path(parser, "--model", str, action="append", metavar="MODEL", help=MODELS)
    _add_path(parser, "--training", metavar="FOLDER", help="results/data/NAME: also show the nearest training crystals")
    _add_path(parser, "--out", metavar="FILE.html", help="page to write (default: name of the structure file + .html)")
    parser.set_defaults(run=_explain)


def _explain(args: argparse.Namespace) -> None:
    from sitenet.prediction.card import DEFAULT
    from sitenet.prediction.explain.explanation import explain
    from sitenet.prediction.explain.page import write_explanation

    explanation = explain(args.crystal, args.model or DEFAULT, args.training)
    out = args.out or Path(f"{explanation.id}.html")
    write_explanation(explanation, out)
    print(out)


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


def _add_path(parser: argparse.ArgumentParser, name: str, type: type = Path, **options: Any) -> None:
    """Adds an argument that a shell completes with the names of files."""
    parser.add_argument(name, type=type, **options).complete = shtab.FILE  # type: ignore[attr-defined]


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number of 1 or more")
    return int(text)

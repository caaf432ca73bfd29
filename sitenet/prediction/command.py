"""The command `sitenet predict`."""

import sys
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from sitenet.errors import UserError
from sitenet.evaluation.tables.rounding import measured
from sitenet.files import replacing
from sitenet.prediction.inputs.places import open_inputs
from sitenet.prediction.model import Model, Prepared, load_model
from sitenet.prediction.networks import ModelName
from sitenet.prediction.output import Format, choose_format, writing
from sitenet.prediction.stream import frames
from sitenet.training.allotment import DeviceName

SHOWN = 10  # reasons on stderr


def predict_command(
    names: Sequence[str],
    model: ModelName,
    out: Path | None = None,
    format_: Format | None = None,
    attention: Path | None = None,
    cores: int | None = None,
    device: DeviceName = "auto",
) -> None:
    """Predicts what is named, and writes a row for each crystal as soon as it is done.

    Args:
        names: Files, folders, archives, tables, ids of the Materials Project, "-" for a list on standard input.
        model: See `load_model`.
        out: File for the predictions; None prints them.
        format_: Of the predictions; None takes what the file's name tells.
        attention: File (.npz) for the attention weights of the first network: an array "{id}/block{k}" of shape
            (P, S, H) for each crystal and block.
        cores: Number of processes; None takes as many as there are usable cores.
        device: Where to compute.

    Raises:
        UserError: A network cannot be used or has no attention, a file cannot be written, or crystals cannot be
            used. Those have a row with the reason among the others.
    """
    inputs = open_inputs(names)
    format_ = choose_format(out, format_)
    if cores is not None:
        torch.set_num_threads(cores)  # for the few crystals that need no other process
    loaded = load_model(model, device)
    failures = Failures()
    with ExitStack() as stack:
        write = stack.enter_context(writing(out, format_, loaded))
        archive = stack.enter_context(_archive(attention)) if attention else None
        shown = sys.stderr.isatty() and (out is not None or not sys.stdout.isatty())
        progress = stack.enter_context(tqdm(total=inputs.count, unit=" crystals", disable=not shown))
        for frame, prepared in frames(loaded, inputs.items, 1 if archive else cores):
            write(frame)
            failures.add(frame)
            if archive and prepared:
                _write_attention(archive, loaded, prepared)
            progress.update(len(frame))
        if not failures.total:
            raise UserError("no crystals are named")
    if format_ == "table" and out is None:
        print(_footer(loaded), file=sys.stderr)
    else:
        failures.show()
    if failures.n:
        raise UserError(f"{failures.n:,} of {failures.total:,} crystals cannot be used")


class Failures:
    """Crystals that cannot be used, and the reasons of the first of them."""

    def __init__(self) -> None:
        self.n = self.total = 0
        self._first: list[tuple[str, str]] = []

    def add(self, frame: pd.DataFrame) -> None:
        """Counts those among some rows."""
        failed = frame[frame["reason"].notna()]
        self.n += len(failed)
        self.total += len(frame)
        self._first += zip(failed["id"], failed["reason"], strict=True) if len(self._first) < SHOWN else ()

    def show(self) -> None:
        """Names the first ones on stderr."""
        for id_, reason in self._first[:SHOWN]:
            print(f"{id_}: {reason}", file=sys.stderr)
        if self.n > SHOWN:
            print(f"and {self.n - SHOWN:,} more: see the column 'reason'", file=sys.stderr)


def _footer(model: Model) -> str:
    """What is known of the errors of the predictions above."""
    if model.pretrained:
        test = model.pretrained.card.test
        error = measured(test.mae, test.low, test.high)
        limit = "; intervals are for crystals like these, flagged ones may be outside" if model.uncertainty else ""
        return f"{model.name}: mean absolute error {error} {model.unit} on {test.crystals:,} test crystals{limit}"
    spread = "; spread is how far its networks disagree, no error bar" if len(model.predictors) > 1 else ""
    if model.typical_error is None:
        return f"{model.name}: its error is not known{spread}"
    score = model.task.error
    name, error = (
        score.label.replace("MAE", "mean absolute error"),
        score.amount(measured(model.typical_error), model.unit),
    )
    return f"{model.name}: {name} {error} on validation crystals{spread}"


@contextmanager
def _archive(path: Path) -> Iterator[zipfile.ZipFile]:
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        yield archive


def _write_attention(archive: zipfile.ZipFile, model: Model, prepared: Prepared) -> None:
    """Writes the attention weights crystal by crystal, since those of many crystals would not fit in memory."""
    network = model.predictors[0]
    for crystal, point_set in zip(prepared.crystals, prepared.point_sets, strict=True):
        if f"{crystal.id}/block1.npy" in archive.NameToInfo:
            raise UserError(f"--attention: two crystals are called {crystal.id}: name them apart")
        maps = network.attention(crystal, point_set)
        if not maps:
            raise UserError(f"--attention: a network of kind '{network.trial.kind}' has no attention weights")
        for number, weights in enumerate(maps, start=1):
            with archive.open(f"{crystal.id}/block{number}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, weights, allow_pickle=False)

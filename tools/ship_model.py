"""Makes finished runs a model that comes with the package, and measures its card; replaces the one of that name.

    python -m tools.ship_model NAME results/data/BENCHMARK RUN [RUN ...]

The runs are folders with `best.pt` and `result.json`, of one trial and fold, each with another seed. Their networks are
rounded to half precision. The card is of these rounded networks: their error on all test crystals of the fold, which
are predicted anew. The fold's checksum in the networks proves that they were not trained on these crystals.

What a person says of the model is in `sitenet/pretrained/NAME/about.yaml`, which must be there and stays. Everything
else in that folder is written anew; what belonged to the networks before is removed.
"""

import argparse
import shutil
import tempfile
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sitenet.config.pretrained import PRETRAINED
from sitenet.data.crystal import Crystal
from sitenet.data.manifest import Manifest
from sitenet.data.table import CrystalTable
from sitenet.errors import UserError
from sitenet.evaluation.statistics.bootstrap import bootstrap_scores
from sitenet.prediction.card import (
    ABOUT,
    CARD,
    ModelCard,
    NetworkFacts,
    Score,
    TrainingData,
    read_about,
)
from sitenet.prediction.card_text import list_models
from sitenet.prediction.inputs.items import Item
from sitenet.prediction.model import Model
from sitenet.prediction.networks import Networks
from sitenet.prediction.stream import frames
from sitenet.prediction.uncertainty.sketch import sketch
from sitenet.prediction.uncertainty.training_set import TrainingSet
from sitenet.prediction.uncertainty.uncertainty import CALIBRATION, TRAINING_SET, Uncertainty
from sitenet.records import RunResult
from sitenet.settings.elements import SYMBOLS
from sitenet.training.checkpoint import RunDescription, load_best
from sitenet.training.training_data import read_fold
from tools.calibrate import calibrated, coverage, flag_scores, intervals_from_halves, metal_shares
from tools.publish_runs import check_together, halved


def ship(name: str, data: Path, runs: Sequence[Path], pretrained: Path = PRETRAINED) -> ModelCard:
    """Writes the folder of a model.

    Args:
        name: Name of the model.
        data: Folder of the benchmark's data: manifest, crystals, targets and folds.
        runs: Folders of its runs.
        pretrained: Where models are.

    Raises:
        UserError: The runs do not belong together, or not to the data.
    """
    check_together(runs)
    about, manifest = read_about(pretrained / name / ABOUT), Manifest.read(data / "manifest.json")
    descriptions = [load_best(run / "best.pt")[0] for run in runs]
    fold = data / "folds" / f"fold{descriptions[0].key.fold}"
    train = _training_crystals(fold, manifest.structures_sha256, descriptions)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        files = [folder / f"seed{description.key.seed}.pt" for description in descriptions]
        for run, file in zip(runs, files, strict=True):
            halved(run / "best.pt", file)
        groups = pd.read_parquet(data / "targets.parquet", columns=["id", "group"])
        test = pd.read_parquet(fold / "test_targets.parquet", columns=["id", "target"]).merge(groups, on="id")
        tested = _tested(Model(Networks(name, tuple(files))), data, test)
        uncertainty, evidence = _uncertainty(tested, data, train, manifest, about.ranges)
        uncertainty.write(folder)
        results = [RunResult.read(run / "result.json") for run in runs]
        card = ModelCard(
            target=manifest.target,
            unit=manifest.unit,
            kind=results[0].kind,
            settings=descriptions[0].trial.changes,
            data=_data(manifest, data, train, test, descriptions[0].key.fold),
            networks=tuple(_facts(file, result) for file, result in zip(files, results, strict=True)),
            hardware=results[0].hardware,
            versions=results[0].versions,
            **_scores(tested, about.ranges),
            **evidence,
        )
        card = card.write(folder / CARD, [*(file.name for file in files), CALIBRATION, TRAINING_SET])
        shutil.copyfile(pretrained / name / ABOUT, folder / ABOUT)
        shutil.rmtree(pretrained / name)
        shutil.copytree(folder, pretrained / name)
    return card


def _training_crystals(fold: Path, crystals_sha256: str, descriptions: Sequence[RunDescription]) -> pd.DataFrame:
    """The fold's training and validation crystals, once it is certain that the networks were trained on them."""
    for description in descriptions:
        if description.trial.training.max_crystals is not None:
            raise UserError(f"{description.key} learnt from a part of the training crystals: max_crystals must be null")
        train, _, checksum = read_fold(fold / "train.parquet", description.trial.training.other_targets)
        if (description.data_checksum, description.fold_checksum) != (crystals_sha256, checksum):
            raise UserError(f"{fold} is not what {description.key} was trained on: a checksum is another one")
    return train[train["part"] != "beside"]


def _tested(model: Model, data: Path, test: pd.DataFrame) -> pd.DataFrame:
    """The labelled test crystals with the model's predictions."""
    wanted = set(test["id"])
    crystals = (c for c in CrystalTable.open(data / "structures.parquet").crystals() if c.id in wanted)
    predicted = pd.concat([frame for frame, _ in frames(model, (Item(c.id, c) for c in crystals))])
    joined = test.merge(predicted, on="id", validate="1:1").dropna(subset="target")
    if joined["prediction"].isna().any():
        raise UserError(f"{joined['prediction'].isna().sum()} test crystals have no prediction")
    return joined.fillna({"spread": 0.0})  # a single network has none


def _uncertainty(
    tested: pd.DataFrame, data: Path, train: pd.DataFrame, manifest: Manifest, ends: Sequence[float]
) -> tuple[Uncertainty, dict[str, Any]]:
    """Calibration and training set of the model, and what they are worth."""
    learnt, wanted = set(train.loc[train["part"] == "train", "id"]), set(tested["id"])
    crystals = CrystalTable.open(data / "structures.parquet").crystals()
    sketches = {c.id: sketch(c) for c in crystals if c.id in learnt or c.id in wanted}
    training = TrainingSet.collect([sketches[id_] for id_ in sorted(learnt)])
    calibration = calibrated(tested, manifest.non_negative)
    halves = intervals_from_halves(tested, manifest.non_negative)
    evidence = {
        "coverage": coverage(tested, halves, ends, manifest.unit),
        "metals": metal_shares(tested, halves),
        "flags": flag_scores(tested, halves, sketches, training, calibration.high_spread),
    }
    return Uncertainty(calibration, training), evidence


def _scores(tested: pd.DataFrame, ends: Sequence[float]) -> dict[str, Any]:
    """Errors on the test crystals, of all and by range of the target."""
    error = (tested["prediction"] - tested["target"]).to_numpy()
    joined = tested.assign(error=np.abs(error))
    edges = [-np.inf, 0.0, *ends, np.inf]
    names = [
        "0",
        *(f"{low:g} to {high:g}" for low, high in pairwise(edges[1:-1])),
        f"above {ends[-1]:g}",
    ]
    ranges = joined.groupby(pd.cut(joined["target"], edges, labels=names), observed=True)
    return {
        "test": _score("all", joined),
        "rmse": float(np.sqrt((error**2).mean())),
        "ranges": tuple(_score(str(name), group) for name, group in ranges),
    }


def _score(name: str, errors: pd.DataFrame) -> Score:
    found = bootstrap_scores({0: errors["error"].to_numpy()[:, None]}, {0: errors["group"].tolist()}).score(0)
    return Score(name=name, crystals=len(errors), mae=found.value, low=found.low, high=found.high)


def _data(manifest: Manifest, data: Path, train: pd.DataFrame, test: pd.DataFrame, fold: int) -> TrainingData:
    learnt = set(train.loc[train["part"] == "train", "id"])
    crystals = (c for c in CrystalTable.open(data / "structures.parquet").crystals() if c.id in learnt)
    elements = Counter(symbol for crystal in crystals for symbol in _symbols(crystal))
    return TrainingData(
        **{
            name: getattr(manifest, name)
            for name in ("name", "version", "url", "structures_sha256", "licence", "citation")
        },
        fold=fold,
        train=len(learnt),
        validation=int((train["part"] == "validation").sum()),
        test=len(test),
        test_formulas=test["group"].nunique(),
        elements={symbol: elements[symbol] for symbol in SYMBOLS if symbol in elements},
    )


def _symbols(crystal: Crystal) -> set[str]:
    return {SYMBOLS[number - 1] for number in crystal.atomic_numbers}


def _facts(file: Path, result: RunResult) -> NetworkFacts:
    assert result.n_parameters is not None, "a network has parameters"
    return NetworkFacts(
        file=file.name,
        seed=result.key.seed,
        parameters=result.n_parameters,
        epochs=result.epochs,
        seconds=result.cost.seconds,
        peak_memory_mb=result.cost.peak_memory_mb,
        validation_mae=result.validation_error,
    )


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="name of the model, a folder of sitenet/pretrained")
    parser.add_argument("data", type=Path, help="results/data/<name>")
    parser.add_argument("runs", type=Path, nargs="+", help="results/runs/<name>/<trial>/fold<k>/seed<s>")
    arguments = parser.parse_args()
    try:
        ship(arguments.name, arguments.data, arguments.runs)
    except UserError as error:
        parser.error(str(error))
    print(list_models())


if __name__ == "__main__":
    main()

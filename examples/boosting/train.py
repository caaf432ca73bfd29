"""Gradient boosting on element fractions and the volume per atom: an example of a model in an environment of its own.

It needs scikit-learn and numpy, nothing of sitenet. The contract is on the page docs/external.md.
"""

import csv
import gzip
import json
import pickle
import sys
from pathlib import Path

import numpy as np
from sklearn.ensemble import GradientBoostingRegressor

STEP = 20  # trees between two checkpoints


def read_column(path: Path, name: str) -> list[str]:
    """One column of a CSV file."""
    with path.open(newline="") as file:
        return [row[name] for row in csv.DictReader(file)]


def features_of(structures: Path) -> dict[str, np.ndarray]:
    """Fraction of each element, and the logarithm of the volume per atom, of every crystal by id."""
    crystals = json.loads(gzip.decompress(structures.read_bytes()))
    symbols = sorted({site["species"][0]["element"] for crystal in crystals.values() for site in crystal["sites"]})
    found = {}
    for id_, crystal in crystals.items():
        elements = [site["species"][0]["element"] for site in crystal["sites"]]
        fractions = [elements.count(symbol) / len(elements) for symbol in symbols]
        found[id_] = np.array([*fractions, np.log(crystal["lattice"]["volume"] / len(elements))])
    return found


def main(work: Path) -> None:
    """Trains on train.csv, keeps the number of trees that is best on validation.csv, and predicts."""
    settings = json.loads((work / "settings.json").read_text())
    features, data = features_of(work / "structures.json.gz"), {}
    for part in ("train", "validation"):
        targets = np.array(read_column(work / f"{part}.csv", "target"), dtype=float)
        data[part] = np.array([features[id_] for id_ in read_column(work / f"{part}.csv", "id")]), targets
    checkpoint, n_trees = work / "checkpoint.pickle", settings["parameters"].get("n_trees", 200)
    if checkpoint.exists():  # an interrupted run goes on
        model = pickle.loads(checkpoint.read_bytes())
    else:
        model = GradientBoostingRegressor(n_estimators=0, warm_start=True, random_state=settings["seed"])
    while model.n_estimators < n_trees:
        model.n_estimators = min(model.n_estimators + STEP, n_trees)
        model.fit(*data["train"])
        temporary = checkpoint.with_suffix(".part")
        temporary.write_bytes(pickle.dumps(model))
        temporary.replace(checkpoint)
        error = np.abs(model.predict(data["validation"][0]) - data["validation"][1]).mean()
        print(f"{model.n_estimators} of {n_trees} trees: validation MAE {error:.3f} {settings['unit']}", flush=True)
    steps = [np.abs(p - data["validation"][1]).mean() for p in model.staged_predict(data["validation"][0])]
    with (work / "predictions.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "prediction"])
        for part in ("validation", "test"):
            ids = read_column(work / f"{part}.csv", "id")
            predicted = list(model.staged_predict(np.array([features[id_] for id_ in ids])))[int(np.argmin(steps))]
            writer.writerows(zip(ids, predicted, strict=True))


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""MODNet of the package modnet, trained from scratch: an example of descriptors, of which a network gets a selection.

It needs modnet and what comes with it, nothing of sitenet. The contract is on the page docs/external.md.
"""

import csv
import gzip
import json
import sys
from pathlib import Path

import pandas as pd
import tensorflow as tf
from modnet.featurizers.presets.matminer_2024_fast import Matminer2024FastFeaturizer
from modnet.models import MODNetModel
from modnet.preprocessing import MODData
from pymatgen.core import Structure


def features_of(structures: Path, threads: int) -> pd.DataFrame:
    """Descriptors of every crystal by id, computed once: an interrupted run finds them."""
    kept = structures.with_name("features.pickle")
    if not kept.exists():
        found = json.loads(gzip.decompress(structures.read_bytes()))
        crystals = [Structure.from_dict(crystal) for crystal in found.values()]
        data = MODData(crystals, structure_ids=list(found), featurizer=Matminer2024FastFeaturizer())
        data.featurize(n_jobs=threads)
        data.df_featurized.to_pickle(kept.with_suffix(".part"))
        kept.with_suffix(".part").replace(kept)
    return pd.read_pickle(kept)


def part(path: Path, features: pd.DataFrame) -> MODData:
    """Crystals with their targets; those of the test part are nan."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    ids, targets = [row["id"] for row in rows], [float(row.get("target") or "nan") for row in rows]
    return MODData(df_featurized=features.loc[ids], targets=targets, target_names=["target"], structure_ids=ids)


def trained(model: MODNetModel, train: MODData, validation: MODData, own: dict, unit: str) -> None:
    """Trains the network, and leaves it with the weights of the epoch that is best on the validation part."""
    best: tuple[float, list] = (float("inf"), [])

    def look(epoch: int, logs: dict) -> None:
        nonlocal best
        if logs["val_mae"] < best[0]:
            best = logs["val_mae"], model.model.get_weights()
        if epoch % 10 == 9:
            print(f"epoch {epoch + 1}/{own['epochs']}, validation MAE {logs['val_mae']:.3f} {unit}", flush=True)

    looking = [tf.keras.callbacks.LambdaCallback(on_epoch_end=look)]
    sizes = {"epochs": own["epochs"], "lr": own["learning_rate"], "batch_size": own["batch_size"]}
    model.fit(train, val_data=validation, loss="mae", callbacks=looking, **sizes)
    model.model.set_weights(best[1])


def main(work: Path) -> None:
    """Selects features and trains on train.csv, keeps the epoch that is best on validation.csv, and predicts."""
    settings = json.loads((work / "settings.json").read_text())
    own = {"epochs": 200, "learning_rate": 1e-3, "batch_size": 64, "features": 64}
    if unknown := settings["parameters"].keys() - own.keys():
        sys.exit(f"unknown parameters: {', '.join(sorted(unknown))}; known are {', '.join(own)}")
    own |= settings["parameters"]
    threads = settings["threads"]
    tf.keras.utils.set_random_seed(settings["seed"])
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    features = features_of(work / "structures.json.gz", threads)
    train, validation, test = (part(work / f"{name}.csv", features) for name in ("train", "validation", "test"))
    train.feature_selection(n=own["features"], n_jobs=threads, random_state=settings["seed"] + 1)  # 0 would be none
    model = MODNetModel([[["target"]]], {"target": 1}, n_feat=min(own["features"], len(train.optimal_features)))
    trained(model, train, validation, own, settings["unit"])
    with (work / "predictions.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "prediction"])
        for wanted in (validation, test):  # what is far out of range stays: MODNet would replace it with random numbers
            found = model.predict(wanted, remap_out_of_bounds=False)["target"]
            writer.writerows(zip(wanted.structure_ids, found.tolist(), strict=True))


if __name__ == "__main__":
    main(Path(sys.argv[1]))

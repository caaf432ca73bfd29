"""Makes a folder that can be committed of finished runs of one trial, small and complete in itself.

    python tools/publish_runs.py FEATURES FOLD FOLDER RUN [RUN ...]

For every run `seed<s>/` has `result.json`, `history.jsonl` and `best.pt` with its weights in half precision. What
follows is of these rounded networks, averaged over the runs: `test_predictions.csv.gz` (id, prediction to 0.1 meV) and
the MAE on validation crystals, which is printed.
"""

import argparse
import gzip
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from sitenet.errors import UserError
from sitenet.features.store import FeatureStore
from sitenet.files import write_bytes
from sitenet.prediction.predictor import predict
from sitenet.records import RunResult


def publish(runs: Sequence[Path], features: Sequence[Path], fold: Path, folder: Path) -> float:
    """Writes the folder.

    Args:
        runs: Folders of the runs, called `seed<s>`.
        features: Shards of their feature set.
        fold: Folder of their fold.
        folder: Where the files go.

    Returns:
        MAE of the averaged predictions for the validation crystals, in the unit of the target.

    Raises:
        UserError: The runs are not of one trial and fold, each with another seed.
    """
    check_together(runs)
    checkpoints = [_publish_run(run, folder / run.name) for run in runs]
    store = FeatureStore(features)
    ids = sorted(pd.read_parquet(fold / "test_inputs.parquet", columns=["id"])["id"])
    predictions = _mean_predictions(checkpoints, store, ids)
    table = pd.DataFrame({"id": ids, "prediction": predictions}).to_csv(index=False, float_format="%.4f")
    # Without a time stamp, so that the same predictions give the same bytes.
    write_bytes(folder / "test_predictions.csv.gz", gzip.compress(table.encode(), mtime=0))
    validation = pd.read_parquet(fold / "train.parquet").query("part == 'validation'")
    errors = _mean_predictions(checkpoints, store, validation["id"].tolist()) - validation["target"].to_numpy()
    return float(np.abs(errors).mean())


def check_together(runs: Sequence[Path]) -> None:
    """Refuses runs that are not of one trial and fold, each with another seed.

    Raises:
        UserError: They are not.
    """
    keys = [RunResult.read(run / "result.json").key for run in runs]
    if len({key.model_copy(update={"seed": 0}) for key in keys}) > 1 or len({key.seed for key in keys}) < len(keys):
        found = "; ".join(f"trial {key.trial} fold {key.fold} seed {key.seed}" for key in keys)
        raise UserError(f"runs to publish together are of one trial and fold, each with another seed; got {found}")


def _publish_run(run: Path, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    write_bytes(folder / "history.jsonl", (run / "history.jsonl").read_bytes())
    halved(run / "best.pt", folder / "best.pt")
    record = RunResult.read(run / "result.json").model_copy(update={"files": {}})
    record.write(folder / "result.json", files=["best.pt", "history.jsonl"])
    return folder / "best.pt"


def halved(source: Path, target: Path) -> None:
    """Copies a network in half precision; of one that is so already the copy has the same bytes."""
    content = torch.load(source, map_location="cpu", weights_only=True)
    # All but the two numbers of the target's scale, which cost nothing.
    weights = {name: weight.half() if weight.ndim else weight for name, weight in content["weights"].items()}
    if all(weight.dtype == content["weights"][name].dtype for name, weight in weights.items()):
        write_bytes(target, source.read_bytes())
    else:
        torch.save(content | {"weights": weights}, target)


def _mean_predictions(checkpoints: Sequence[Path], store: FeatureStore, ids: list[str]) -> np.ndarray:
    threads = torch.get_num_threads()
    return np.mean([predict(path, store, ids, threads=threads)["prediction"] for path in checkpoints], axis=0)


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("features", type=Path, help="results/features/<name>/<features>")
    parser.add_argument("fold", type=Path, help="results/data/<name>/folds/fold<k>")
    parser.add_argument("folder", type=Path, help="where the files go")
    parser.add_argument("runs", type=Path, nargs="+", help="results/runs/<name>/<trial>/fold<k>/seed<s>")
    arguments = parser.parse_args()
    shards = sorted(arguments.features.glob("*.arrow"))
    try:
        print(f"validation MAE {publish(arguments.runs, shards, arguments.fold, arguments.folder):.4f}")
    except UserError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()

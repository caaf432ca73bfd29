"""Makes a folder that can be committed of a finished run, small and complete in itself.

    python tools/publish_run.py RUN FEATURES FOLD FOLDER

`result.json` and `history.jsonl` are copied. `best.pt` keeps the weights in half precision, and what follows is of
this rounded network: `test_predictions.csv.gz` (id, prediction to 0.1 meV) and the MAE on validation crystals, which is
printed.
"""

import argparse
import gzip
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import torch

from sitenet.features.store import FeatureStore
from sitenet.files import write_bytes
from sitenet.predict import predict


def publish(run: Path, features: Sequence[Path], fold: Path, folder: Path) -> float:
    """Writes the folder of a run.

    Args:
        run: Folder of the run.
        features: Shards of its feature set.
        fold: Folder of its fold.
        folder: Where the files go.

    Returns:
        MAE of the published network on the validation crystals, in the unit of the target.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("result.json", "history.jsonl"):
        write_bytes(folder / name, (run / name).read_bytes())
    _round_weights(run / "best.pt", folder / "best.pt")
    store, threads = FeatureStore(features), torch.get_num_threads()
    ids = sorted(pd.read_parquet(fold / "test_inputs.parquet", columns=["id"])["id"])
    table = predict(folder / "best.pt", store, ids, threads=threads).to_csv(index=False, float_format="%.4f")
    # Without a time stamp, so that the same predictions give the same bytes.
    write_bytes(folder / "test_predictions.csv.gz", gzip.compress(table.encode(), mtime=0))
    validation = pd.read_parquet(fold / "train.parquet").query("part == 'validation'")
    predictions = predict(folder / "best.pt", store, validation["id"].tolist(), threads=threads)["prediction"]
    return float(abs(predictions.to_numpy() - validation["target"].to_numpy()).mean())


def _round_weights(source: Path, target: Path) -> None:
    content = torch.load(source, weights_only=True)
    # All but the two numbers of the target's scale, which cost nothing.
    content["weights"] = {name: w.half() if w.ndim else w for name, w in content["weights"].items()}
    torch.save(content, target)


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="results/runs/<name>/<trial>/fold<k>/seed<s>")
    parser.add_argument("features", type=Path, help="results/features/<name>/<features>")
    parser.add_argument("fold", type=Path, help="results/data/<name>/folds/fold<k>")
    parser.add_argument("folder", type=Path, help="where the files go")
    arguments = parser.parse_args()
    shards = sorted(arguments.features.glob("*.arrow"))
    print(f"validation MAE {publish(arguments.run, shards, arguments.fold, arguments.folder):.4f}")


if __name__ == "__main__":
    main()

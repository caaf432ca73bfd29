from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sitenet.errors import UserError
from sitenet.features.store import FeatureStore
from sitenet.prediction.predictor import predict
from sitenet.records import RunResult
from sitenet.training.run import train
from tests.training_case import RADIAL_NETWORK, write_inputs
from tools.publish_runs import publish


def test_published_runs_are_complete_in_themselves(tmp_path: Path) -> None:
    inputs = write_inputs(tmp_path)
    fold, folder = tmp_path / "fold", tmp_path / "docs" / "published"
    fold.mkdir()
    pd.DataFrame({"id": inputs.ids[::-1]}).to_parquet(fold / "test_inputs.parquet")
    (fold / "train.parquet").write_bytes(inputs.fold_table.read_bytes())
    runs = []
    for seed in (0, 1):
        job = inputs.job(tmp_path / f"seed{seed}", RADIAL_NETWORK)
        train(replace(job, key=job.key.model_copy(update={"seed": seed})))
        (job.folder / "result.json").write_bytes((job.folder / "run.json").read_bytes())
        runs.append(job.folder)
    with pytest.raises(UserError, match=r"fold 0 seed 0; .* fold 0 seed 0$"):
        publish([runs[0], runs[0]], [inputs.shard], fold, folder)
    assert not folder.exists()
    validation_mae = publish(runs, [inputs.shard], fold, folder)
    seeds = [folder / f"seed{seed}" for seed in (0, 1)]
    for own, original in zip(seeds, runs, strict=True):
        assert {path.name for path in own.iterdir()} == {"result.json", "history.jsonl", "best.pt"}
        RunResult.read(own / "result.json", check=["best.pt", "history.jsonl"])
        assert (own / "best.pt").stat().st_size < (original / "best.pt").stat().st_size
    table = pd.read_csv(folder / "test_predictions.csv.gz")
    assert table["id"].tolist() == sorted(inputs.ids)
    store = FeatureStore([inputs.shard])
    members = [predict(own / "best.pt", store, table["id"].tolist())["prediction"] for own in seeds]
    np.testing.assert_allclose(table["prediction"], np.mean(members, axis=0), rtol=0, atol=1e-4)
    truth = pd.read_parquet(inputs.fold_table).set_index("id").query("part == 'validation'")["target"]
    predicted = table.set_index("id")["prediction"].loc[truth.index]
    assert validation_mae == pytest.approx(np.abs(predicted - truth).mean(), abs=1e-3)

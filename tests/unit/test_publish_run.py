from pathlib import Path

import pandas as pd
import pytest

from sitenet.features.store import FeatureStore
from sitenet.predict import predict
from sitenet.training.run import train
from tests.training_case import RADIAL_NETWORK, write_inputs
from tools.publish_run import publish


def test_a_published_run_is_complete_in_itself(tmp_path: Path) -> None:
    inputs = write_inputs(tmp_path)
    job = inputs.job(tmp_path / "run", RADIAL_NETWORK)
    result = train(job)
    fold, folder = tmp_path / "fold", tmp_path / "docs" / "published"
    fold.mkdir()
    (job.folder / "result.json").write_text("{}")
    pd.DataFrame({"id": inputs.ids[::-1]}).to_parquet(fold / "test_inputs.parquet")
    (fold / "train.parquet").write_bytes(inputs.fold_table.read_bytes())
    assert publish(job.folder, [inputs.shard], fold, folder) == pytest.approx(result.validation_mae, abs=0.01)
    published = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert published.keys() == {"result.json", "history.jsonl", "best.pt", "test_predictions.csv.gz"}
    assert len(published["best.pt"]) < (job.folder / "best.pt").stat().st_size
    table = pd.read_csv(folder / "test_predictions.csv.gz")
    again = predict(folder / "best.pt", FeatureStore([inputs.shard]), table["id"].tolist())
    assert sorted(inputs.ids) == table["id"].tolist()
    assert table["prediction"].to_numpy() == pytest.approx(again["prediction"].to_numpy(), abs=1e-4)

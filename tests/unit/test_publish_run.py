from pathlib import Path

import pandas as pd

from tools.publish_run import publish


def test_a_published_run_has_its_predictions_without_their_targets(tmp_path: Path) -> None:
    run, folder = tmp_path / "run", tmp_path / "docs" / "published"
    run.mkdir()
    for name in ("result.json", "history.jsonl", "best.pt"):
        (run / name).write_text(name)
    predictions = pd.DataFrame({"id": ["b", "a"], "prediction": [1.23456, 0.0], "target": [1.0, 2.0]})
    predictions.to_parquet(run / "predictions.parquet")
    publish(run, folder)
    published = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert published["best.pt"] == b"best.pt"
    table = pd.read_csv(folder / "test_predictions.csv.gz")
    assert table.to_dict("list") == {"id": ["a", "b"], "prediction": [0.0, 1.2346]}
    publish(run, folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == published

"""Files of predictions that were made elsewhere: what is read, and what is refused, so that no score looks whole."""

import gzip
import json
import logging
from pathlib import Path

import pandas as pd
import pytest

from sitenet.config.benchmark import Benchmark
from sitenet.data.matbench_task import official_folds
from sitenet.errors import UserError
from sitenet.models.predictions.files import Wanted, read_predictions
from tests.shared_data import SHARED, needs_matbench
from tests.unit.test_config import config

IDS = ["mp-2", "mp-10", "007"]
PART = Wanted("mine", 0, 0, IDS, [*IDS, "mp-3"])
ROWS = "id,prediction\nmp-10,1.5\n007,-2e-3\nmp-2,0\n"


def write(folder: Path, text: str, name: str = "mine.csv") -> Path:
    path = folder / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


def test_a_file_of_a_spreadsheet_is_read(tmp_path: Path) -> None:
    path = write(tmp_path, "\ufeff" + ROWS.replace("\n", "\r\n").replace("mp-10", '"mp-10"') + "\r\n")
    assert read_predictions(path, PART)["prediction"].tolist() == [0.0, 1.5, -2e-3]


@pytest.mark.parametrize("name", ["mine.csv", "mine.csv.gz"])
def test_predictions_come_in_the_order_of_the_fold(tmp_path: Path, name: str) -> None:
    frame = read_predictions(write(tmp_path, ROWS, name), PART)
    assert frame.to_dict("list") == {"id": IDS, "prediction": [0.0, 1.5, -2e-3]}


def test_parquet_reads_like_csv(tmp_path: Path) -> None:
    table = pd.DataFrame({"id": [*IDS, "mp-3"], "prediction": [1, 2, 3, 9], "fold": 0, "uncertainty": 0.5})
    table.to_parquet(tmp_path / "mine.parquet")
    frame = read_predictions(tmp_path / "mine.parquet", PART)
    assert frame.to_dict("list") == {"id": IDS, "prediction": [1.0, 2.0, 3.0], "uncertainty": [0.5] * 3}
    table.set_index("id").to_parquet(tmp_path / "index.parquet")
    assert read_predictions(tmp_path / "index.parquet", PART).equals(frame)
    table.astype({"id": "category"}).to_parquet(tmp_path / "category.parquet")
    assert read_predictions(tmp_path / "category.parquet", PART).equals(frame)
    table.assign(id=[1.0, 2.0, 3.0, 4.0]).to_parquet(tmp_path / "floats.parquet")
    with pytest.raises(UserError, match="the column id has the type double, not text"):
        read_predictions(tmp_path / "floats.parquet", PART)
    whole = table.assign(id=[1, 2, 3, 4])
    whole.to_parquet(tmp_path / "numbers.parquet")
    part = Wanted("mine", 0, 0, ["3", "1"])
    assert read_predictions(tmp_path / "numbers.parquet", part)["prediction"].tolist() == [3.0, 1.0]


def test_rows_of_the_fold_and_the_seed_are_taken(tmp_path: Path) -> None:
    rows = [f"{id_},{10 * fold + seed},{fold},{seed}" for fold in (0, 1) for seed in (0, 1) for id_ in IDS]
    path = write(tmp_path, "id,prediction,fold,seed\n" + "\n".join(rows) + "\n")
    for fold, seed in ((0, 1), (1, 0)):
        found = read_predictions(path, Wanted("mine", fold, seed, IDS))
        assert found["prediction"].tolist() == [10 * fold + seed] * 3
    with pytest.raises(UserError, match=r"lacks predictions for 3 .* fold 2, seed 0 \(the file has folds 0, 1"):
        read_predictions(path, Wanted("mine", 2, 0, IDS))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,prediction\nmp-10,1.5\n", r"lacks predictions for 2 of the 3 test crystals of fold 0, seed 0: 007, mp-2$"),
        (ROWS + "mp-2,0.1\n", r"has two or more predictions for 1 of the 3 .*: mp-2$"),
        (ROWS.replace("1.5", "nan"), r"a prediction that is not a finite number for 1 of the 3 .*: mp-10$"),
        (ROWS.replace("1.5", "inf"), r"a prediction that is not a finite number for 1 of the 3 .*: mp-10$"),
        (ROWS.replace("1.5", "1_5"), r"a prediction that is not a finite number for 1 of the 3 .*: mp-10$"),
        (ROWS.replace("1.5", ""), r"a prediction that is not a finite number for 1 of the 3 .*: mp-10$"),
        (ROWS.replace("1.5", "1,5"), r"mine.csv, line 2 has 3 fields, the header 2$"),
        (ROWS.replace(",", ";"), r"needs the columns id and prediction, each once; it has \['id;prediction'\]"),
        (ROWS.replace("id,", "name,"), r"needs the columns id and prediction, each once"),
        ("id,prediction,prediction\nmp-2,1,2\n", r"needs the columns id and prediction, each once"),
        ("id,prediction,uncertainty\n" + "".join(f"{id_},1,-1\n" for id_ in IDS), r"an? uncertainty that is negative"),
        ("", r"needs the columns id and prediction"),
    ],
    ids=[
        "missing",
        "twice",
        "NaN",
        "infinite",
        "text",
        "empty",
        "comma",
        "semicolon",
        "id",
        "column",
        "minus",
        "nothing",
    ],
)
def test_what_would_not_be_a_whole_score_is_refused_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as refused:
        read_predictions(write(tmp_path, text), PART)
    assert "\n" not in str(refused.value)


def test_ids_that_the_data_set_lacks_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write(tmp_path, ROWS + "mp-3,1\nmp-4.cif,nan\nmp-5.cif,1\n")
    with caplog.at_level(logging.INFO, logger="sitenet"):
        assert len(read_predictions(path, PART)) == 3
    warning, counts = (record.getMessage() for record in caplog.records)
    assert warning.endswith("2 ids are not in the data set and are not used, mp-4.cif for one")
    assert counts.endswith("6 rows; 3 are of other crystals, folds or seeds")


def test_folds_that_share_test_crystals_need_the_column_fold(tmp_path: Path) -> None:
    part = Wanted("mine", 0, 0, IDS, needs_fold=True)
    with pytest.raises(UserError, match="needs the column fold"):
        read_predictions(write(tmp_path, ROWS), part)


@pytest.mark.parametrize("content", [b"PAR1", b"", gzip.compress(b"x", mtime=0)[:8]])
@pytest.mark.parametrize("name", ["mine.parquet", "mine.csv.gz", "results.json", "results.json.gz"])
def test_damaged_files_are_one_line(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=r"mine|results") as refused:
        read_predictions(tmp_path / name, PART)
    assert "\n" not in str(refused.value)


def test_a_results_file_of_matbench_is_read_packed_or_not(tmp_path: Path) -> None:
    results = {"fold_0": {"data": dict.fromkeys(IDS, 2.5)}}
    text = json.dumps({"tasks": {"mine": {"results": results}}})
    for name in ("any_name.json", "any_name.json.gz"):
        assert read_predictions(write(tmp_path, text, name), PART)["prediction"].tolist() == [2.5] * 3


def test_a_crystal_that_is_twice_in_a_results_file_is_refused(tmp_path: Path) -> None:
    text = '{"tasks": {"mine": {"results": {"fold_0": {"data": {"mp-2": 1, "mp-10": 1, "007": 1, "mp-2": 2}}}}}}'
    with pytest.raises(UserError, match=r"results.json has the key 'mp-2' twice: keep the one that counts"):
        read_predictions(write(tmp_path, text, "results.json"), PART)


@needs_matbench
def test_an_official_file_at_any_path_has_its_published_error() -> None:
    path = SHARED / "data/matbench_results/matbench_v0.1_cgcnnv2019/results.json.gz"
    _, test = official_folds("matbench_mp_gap")[1]
    column = pd.read_parquet(SHARED / "data/matbench_mp_gap.parquet", columns=["mbid", "gap_pbe"]).set_index("mbid")
    predicted = read_predictions(path, Wanted("matbench_mp_gap", 1, 0, test)).set_index("id")["prediction"]
    scores = pd.read_csv(SHARED / "data/published_matbench_scores.csv")
    own = scores[(scores["task"] == "matbench_mp_gap") & (scores["algorithm"] == "cgcnnv2019")]
    expected = own.loc[own["fold"] == 1, "mae"].item()
    assert (predicted - column.loc[test, "gap_pbe"]).abs().mean() == pytest.approx(expected, abs=5e-5)


def test_the_name_of_a_file_says_its_format() -> None:
    with pytest.raises(UserError, match=r"grid.2.model.path' has the value 'mine.xlsx': the name of a file of predict"):
        Benchmark(config("grid", 2, "model", value={"kind": "predictions", "path": "mine.xlsx"}))


def test_a_results_file_of_matbench_needs_official_folds() -> None:
    with pytest.raises(UserError, match=r"'kfold', but .* of a Matbench submission, pr/results.json"):
        Benchmark(config("grid", 2, "model", value={"kind": "predictions", "path": "pr/results.json"}))

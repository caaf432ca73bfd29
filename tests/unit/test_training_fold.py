from pathlib import Path

import pandas as pd
import pytest

from sitenet.errors import UserError
from sitenet.features.store import FeatureStore
from sitenet.training.training_data import read_training_data
from tests.training_case import Inputs, write_inputs


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    return write_inputs(tmp_path_factory.mktemp("inputs"))


@pytest.fixture(scope="module")
def store(inputs: Inputs) -> FeatureStore:
    return FeatureStore([inputs.shard])


def test_parts_carry_their_own_targets(inputs: Inputs, store: FeatureStore) -> None:
    frame = pd.read_parquet(inputs.fold_table).set_index("id")
    fold = read_training_data(inputs.fold_table, store, max_crystals=None, seed=0)
    assert (len(fold.train), len(fold.validation), fold.n_train_available) == (32, 8, 32)
    for part, name in [(fold.train, "train"), (fold.validation, "validation")]:
        rows = frame.loc[[store.ids[i] for i in part.indices]]
        assert (rows["part"] == name).all()
        assert rows["target"].tolist() == part.targets.tolist()


def test_subsets_are_nested_and_depend_on_the_seed(inputs: Inputs, store: FeatureStore) -> None:
    def chosen(count: int, seed: int) -> set[int]:
        return set(read_training_data(inputs.fold_table, store, count, seed).train.indices.tolist())

    assert len(chosen(5, 0)) == 5
    assert chosen(5, 0) < chosen(10, 0) < chosen(32, 0)
    assert chosen(10, 0) != chosen(10, 1)


def test_order_of_the_fold_file_does_not_matter(inputs: Inputs, store: FeatureStore, tmp_path: Path) -> None:
    reversed_table = tmp_path / "train.parquet"
    pd.read_parquet(inputs.fold_table).iloc[::-1].to_parquet(reversed_table)
    fold, same = (read_training_data(path, store, 10, 0) for path in (inputs.fold_table, reversed_table))
    assert fold.train.indices.tolist() == same.train.indices.tolist()
    assert fold.checksum == same.checksum


@pytest.mark.parametrize("column", ["target", "part"])
def test_checksum_follows_targets_and_parts(inputs: Inputs, store: FeatureStore, tmp_path: Path, column: str) -> None:
    frame = pd.read_parquet(inputs.fold_table)
    frame[column] = frame[column].where(frame.index != 1, {"target": 9.0, "part": "validation"}[column])
    frame.to_parquet(tmp_path / "train.parquet")
    original = read_training_data(inputs.fold_table, store, None, 0)
    assert read_training_data(tmp_path / "train.parquet", store, None, 0).checksum != original.checksum


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"target": float("nan")}, "finite target"),
        ({"part": "train"}, "'validation'"),
    ],
)
def test_unusable_folds_are_refused(
    inputs: Inputs, store: FeatureStore, tmp_path: Path, change: dict, message: str
) -> None:
    pd.read_parquet(inputs.fold_table).assign(**change).to_parquet(tmp_path / "train.parquet")
    with pytest.raises(UserError, match=message):
        read_training_data(tmp_path / "train.parquet", store, None, 0)


def test_crystals_without_features_are_counted_and_left_out(
    inputs: Inputs, store: FeatureStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    frame = pd.read_parquet(inputs.fold_table)
    frame["id"] = frame["id"].where(frame.index > 1, "mp-none-" + frame.index.astype(str))
    frame.to_parquet(tmp_path / "train.parquet")
    fold = read_training_data(tmp_path / "train.parquet", store, None, 0)
    assert len(fold.train) + len(fold.validation) == len(frame) - 2
    assert f"2 of {len(frame)} training crystals have no features" in caplog.text

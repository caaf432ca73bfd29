import json
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sitenet.data.load import load_dataset
from sitenet.data.manifest import Splits
from sitenet.data.matbench_task import official_folds
from sitenet.data.sources.bundled import BundledDataset
from sitenet.data.sources.matbench import MatbenchDataset
from sitenet.data.splits.folds import deal, take
from sitenet.data.splits.write import write_splits
from sitenet.errors import UserError
from sitenet.settings.splits import GivenSplits, HoldoutSplits, KFoldSplits, OfficialSplits

DATASET = BundledDataset(source="bundled", name="mp_dielectric_gap")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    load_dataset(DATASET, folder)
    return folder


def write_targets(folder: Path, targets: Mapping[str, float | None]) -> None:
    columns = {
        "id": list(targets),
        "target": pa.array(targets.values(), pa.float64()),
        "group": list(targets),
    }
    pq.write_table(pa.table(columns), folder / "targets.parquet")


def parts(folder: Path, number: int) -> tuple[set[str], set[str], set[str]]:
    """Ids of the train, validation and test part as the workflow reads them."""
    fold = folder / "folds" / f"fold{number}"
    train, test = pq.read_table(fold / "train.parquet"), pq.read_table(fold / "test_inputs.parquet")
    assert test.column_names == ["id"]
    assert pq.read_table(fold / "test_targets.parquet")["id"] == test["id"]
    ids: dict[str, set[str]] = {"train": set(), "validation": set()}
    for id_, part in zip(train["id"].to_pylist(), train["part"].to_pylist(), strict=True):
        ids[part].add(id_)
    return ids["train"], ids["validation"], set(test["id"].to_pylist())


def groups_of(folder: Path) -> dict[str, str]:
    table = pq.read_table(folder / "targets.parquet")
    return dict(zip(table["id"].to_pylist(), table["group"].to_pylist(), strict=True))


@pytest.mark.parametrize("kind", ["kfold", "grouped_kfold"])
def test_folds_cover_every_crystal_once_and_parts_are_disjoint(
    data: Path, kind: Literal["kfold", "grouped_kfold"]
) -> None:
    record = write_splits(KFoldSplits(kind=kind), DATASET, data)
    everything = set(groups_of(data))
    tested: list[str] = []
    for number, counts in enumerate(record.folds):
        train, validation, test = parts(data, number)
        assert train | validation | test == everything
        assert len(train) + len(validation) + len(test) == len(everything)
        assert (len(train), len(validation), len(test)) == (counts.train, counts.validation, counts.test)
        assert len(validation) == pytest.approx(0.1 * counts.full_train, abs=2)
        tested += test
    assert sorted(tested) == sorted(everything)
    assert Splits.read(data / "splits.json") == record


def test_grouped_folds_never_share_a_formula(data: Path) -> None:
    groups = groups_of(data)
    assert len(set(groups.values())) < len(groups)  # otherwise nothing is tested
    write_splits(KFoldSplits(kind="grouped_kfold"), DATASET, data)
    for number in range(5):
        train, validation, test = ({groups[id_] for id_ in part} for part in parts(data, number))
        assert len(train | validation | test) == len(train) + len(validation) + len(test)


def test_targets_travel_with_their_ids(data: Path) -> None:
    write_splits(KFoldSplits(kind="kfold"), DATASET, data)
    table = pq.read_table(data / "targets.parquet").to_pydict()
    targets = dict(zip(table["id"], table["target"], strict=True))
    for name in ("train", "test_targets"):
        fold = pq.read_table(data / "folds" / "fold0" / f"{name}.parquet").to_pydict()
        assert [targets[id_] for id_ in fold["id"]] == fold["target"]


def test_same_seed_same_checksum_whatever_the_order_of_rows(tmp_path: Path) -> None:
    targets = {f"c{i}": float(i) for i in range(100)}
    checksums, members = [], []
    for seed, ids in (
        (0, list(targets)),
        (0, list(targets)),
        (1, list(targets)),
        (0, list(reversed(targets))),
    ):
        write_targets(tmp_path, {id_: targets[id_] for id_ in ids})
        checksums.append(write_splits(KFoldSplits(kind="kfold", seed=seed), DATASET, tmp_path).sha256)
        members.append(parts(tmp_path, 3))
    assert checksums[0] == checksums[1] != checksums[2]
    assert members[0] == members[1] == members[3] != members[2]


def test_split_of_the_bundled_data_set_is_pinned(data: Path) -> None:
    record = write_splits(KFoldSplits(kind="kfold"), DATASET, data)
    assert record.sha256 == "5041d948178e36e2808d08a0bbcf0b5375e4fbb17aa623550e1d7125bb586230"


def test_holdout_has_one_fold_of_the_asked_size(data: Path) -> None:
    record = write_splits(HoldoutSplits(kind="holdout", test_share=0.25), DATASET, data)
    assert [fold.test for fold in record.folds] == [264]


def test_unlabelled_crystals_are_tested_but_never_trained_on(tmp_path: Path) -> None:
    targets = {f"c{i}": None if i % 3 == 0 else float(i) for i in range(60)}
    write_targets(tmp_path, targets)
    record = write_splits(KFoldSplits(kind="kfold"), DATASET, tmp_path)
    for number, counts in enumerate(record.folds):
        train, validation, test = parts(tmp_path, number)
        assert all(targets[id_] is not None for id_ in train | validation)
        assert counts.test_unlabelled == sum(targets[id_] is None for id_ in test)
        assert counts.full_train == 48
    assert sum(counts.test_unlabelled for counts in record.folds) == 20


def test_training_parts_can_be_cut_down_for_all_models_alike(data: Path) -> None:
    cut = []
    for max_train in (50, 200):
        record = write_splits(KFoldSplits(kind="kfold", max_train=max_train), DATASET, data)
        assert [(fold.train + fold.validation, fold.full_train) for fold in record.folds] == [
            (max_train, fold.full_train) for fold in record.folds
        ]
        assert sum(fold.test for fold in record.folds) == 1056
        train, validation, _ = parts(data, 0)
        cut.append(train | validation)
    assert cut[0] < cut[1]


def test_whole_folds_need_no_note_and_others_say_what_is_used(data: Path, tmp_path: Path) -> None:
    assert write_splits(KFoldSplits(kind="kfold"), DATASET, data).subset_notes(range(5)) == []
    targets: dict[str, float | None] = {f"c{i}": float(i) for i in range(40)} | {"no": None}
    write_targets(tmp_path, targets)
    splits = given_splits(tmp_path, [f"c{i},0,train" for i in range(30)] + ["c35,0,test", "no,0,test", "x,0,test"])
    record = write_splits(splits.model_copy(update={"max_train": 20}), DATASET, tmp_path)
    assert record.subset_notes([0]) == [
        "Fold 0: 20 of 30 training crystals (2 of them for validation), "
        "2 of 3 test crystals (1 unlabelled, not scored)."
    ]


def test_official_folds_are_used_as_published(tmp_path: Path) -> None:
    task = MatbenchDataset(source="matbench", name="matbench_jdft2d")
    published = official_folds(task.name)
    ids = sorted(published[0][0] + published[0][1])
    write_targets(tmp_path, {id_: 1.0 for id_ in ids if id_ != published[2][1][0]})
    record = write_splits(OfficialSplits(kind="official"), task, tmp_path)
    for number, (train_ids, test_ids) in enumerate(published):
        train, validation, test = parts(tmp_path, number)
        missing = {published[2][1][0]}
        assert train | validation == set(train_ids) - missing
        assert test == set(test_ids) - missing
    assert (record.folds[2].test, record.folds[2].full_test) == (126, 127)


def given_splits(folder: Path, rows: list[str], n_folds: int = 1) -> GivenSplits:
    (folder / "ids.csv").write_text("id,fold,part\n" + "\n".join(rows) + "\n")
    return GivenSplits(kind="ids", path=str(folder / "ids.csv"), n_folds=n_folds)


def test_given_ids_are_followed(tmp_path: Path) -> None:
    write_targets(tmp_path, dict.fromkeys("abcdef", 1.0))
    rows = ["a,0,train", "b,0,validation", "c,0,test", "d,1,train", "e,1,train", "f,1,test"]
    write_splits(given_splits(tmp_path, rows, n_folds=2), DATASET, tmp_path)
    assert parts(tmp_path, 0) == ({"a"}, {"b"}, {"c"})
    train, validation, test = parts(tmp_path, 1)
    assert (train | validation, len(validation), test) == ({"d", "e"}, 1, {"f"})


def test_ids_that_the_data_set_lacks_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_targets(tmp_path, dict.fromkeys("abc", 1.0))
    rows = ["a,0,train", "b,0,validation", "c,0,test", "z,0,test"]
    (counts,) = write_splits(given_splits(tmp_path, rows), DATASET, tmp_path).folds
    assert (counts.test, counts.full_test) == (1, 2)
    assert "fold 0: 1 of 4 crystals" in caplog.text
    assert "(1 ids are not in the data set: z)" in caplog.text


def test_a_list_of_ids_may_come_from_a_spreadsheet(tmp_path: Path) -> None:
    write_targets(tmp_path, dict.fromkeys("abc", 1.0))
    splits = given_splits(tmp_path, ["a,0,train", "b,0,validation", "c,0,test"])
    Path(splits.path).write_bytes(b"\xef\xbb\xbf" + Path(splits.path).read_bytes())
    write_splits(splits, DATASET, tmp_path)
    assert parts(tmp_path, 0) == ({"a"}, {"b"}, {"c"})


def test_a_list_of_ids_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    write_targets(tmp_path, dict.fromkeys("abc", 1.0))
    splits = given_splits(tmp_path, [])
    Path(splits.path).write_bytes(b"id,fold,part\n\xff,0,train\n")
    with pytest.raises(UserError, match=r"ids\.csv is not a CSV file in UTF-8"):
        write_splits(splits, DATASET, tmp_path)
    Path(splits.path).unlink()
    with pytest.raises(UserError, match=r"cannot read '.*ids\.csv' \(splits\.path\): No such file"):
        write_splits(splits, DATASET, tmp_path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("id,fold,part\na,0,train,\n", r"line 2 has 4 fields, the header 3"),
        ("id,fold,part\na,0\n", r"line 2 has 2 fields, the header 3"),
        ("id,fold,part,part\na,0,train,test\n", r"needs the columns id, fold and part, each once"),
        ("id,fold,part\n a,0,train\n", r"line 2: the id ' a' is empty or has blanks at an end"),
        ("id,fold,part\n,0,train\n", r"line 2: the id '' is empty"),
        ('id,fold,part\n"a"b,0,train\n', r"is not a CSV file: line 2"),
        ("", r"needs the columns id, fold and part"),
    ],
)
def test_a_list_of_ids_is_read_strictly(content: str, said: str, tmp_path: Path) -> None:
    write_targets(tmp_path, dict.fromkeys("abc", 1.0))
    splits = given_splits(tmp_path, [])
    Path(splits.path).write_text(content)
    with pytest.raises(UserError, match=said):
        write_splits(splits, DATASET, tmp_path)


def test_the_file_of_ids_is_one_that_a_workflow_watches(tmp_path: Path) -> None:
    splits = given_splits(tmp_path, [])
    assert splits.files == (splits.path,)
    assert KFoldSplits(kind="kfold").files == ()


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            ["a,0,train", "b,0,validation", "a,0,test"],
            "fold 0: 1 of the test crystals are in it twice or in another part",
        ),
        (["a,0,train", "a,0,train", "b,0,validation", "c,0,test"], "fold 0: 1 of the train crystals"),
        (["a,0,train", "b,0,validation"], "fold 0 has no usable test crystals"),
        (
            ["a,0,train", "b,0,validation", *(f"C{n},0,test" for n in range(5))],
            r"no usable test crystals \(5 ids are not in the data set: C0, C1, C2, \.\.\.\)",
        ),
        (["a,0,training"], r"ids\.csv, line 2: part 'training' is none of train, validation, test"),
        (["a,1,train"], r"ids\.csv, line 2: fold '1' is not in 0\.\.0"),
    ],
)
def test_bad_id_lists_are_refused_in_one_line(tmp_path: Path, rows: list[str], message: str) -> None:
    write_targets(tmp_path, dict.fromkeys("abc", 1.0))
    with pytest.raises(UserError, match=message) as caught:
        write_splits(given_splits(tmp_path, rows), DATASET, tmp_path)
    assert "\n" not in str(caught.value)


def test_more_folds_than_crystals_are_refused(tmp_path: Path) -> None:
    write_targets(tmp_path, dict.fromkeys("abc", 1.0))
    with pytest.raises(UserError, match="fold 3 has no usable test crystals"):
        write_splits(KFoldSplits(kind="kfold", n_folds=5), DATASET, tmp_path)


def test_checksum_is_over_ids_and_parts(tmp_path: Path) -> None:
    write_targets(tmp_path, dict.fromkeys("abcd", 1.0))
    rows = ["a,0,train", "b,0,validation", "c,0,test"]
    first = write_splits(given_splits(tmp_path, rows), DATASET, tmp_path).sha256
    moved = write_splits(given_splits(tmp_path, [*rows[:2], "d,0,test"]), DATASET, tmp_path).sha256
    assert first != moved
    assert json.loads((tmp_path / "splits.json").read_text())["sha256"] == moved


@given(
    st.dictionaries(st.text(min_size=1), st.sampled_from("abcdefgh"), min_size=1),
    st.integers(2, 6),
    st.integers(0, 9),
)
def test_dealing_keeps_groups_whole_and_folds_even(groups: dict[str, str], n_folds: int, seed: int) -> None:
    folds = deal(groups, n_folds, seed)
    assert sorted(id_ for fold in folds for id_ in fold) == sorted(groups)
    seen = [{groups[id_] for id_ in fold} for fold in folds]
    assert sum(map(len, seen)) == len(set(groups.values()))
    largest = max(list(groups.values()).count(group) for group in groups.values())
    assert max(map(len, folds)) - min(map(len, folds)) <= largest


@given(st.dictionaries(st.text(min_size=1), st.sampled_from("abcdefgh"), min_size=1), st.integers(1, 9))
def test_taking_stops_at_the_group_that_fills_the_number(groups: dict[str, str], n: int) -> None:
    taken = take(groups, n, "salt")
    largest = max(list(groups.values()).count(group) for group in groups.values())
    assert min(n, len(groups)) <= len(taken) < n + largest
    assert taken <= take(groups, n + 1, "salt")

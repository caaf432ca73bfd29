"""Data sets with further targets, of which crystals may lack some: sources, tables, folds and configurations."""

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from sitenet.config.benchmark import Benchmark
from sitenet.data.export import export_fold
from sitenet.data.load import load_dataset
from sitenet.data.manifest import Manifest
from sitenet.data.sources.bundled import BundledDataset
from sitenet.data.sources.files import FilesDataset
from sitenet.data.splits.write import write_splits
from sitenet.errors import UserError
from sitenet.search.sampling import draw
from sitenet.settings.splits import GivenSplits, KFoldSplits
from tests.own_files import REAL, structure

EWALD: dict[str, Any] = {"source": "bundled", "name": "mp_dielectric_ewald"}
BESIDE = BundledDataset(**EWALD, other_targets=("band_gap",))
FOLDS = KFoldSplits(kind="kfold", n_folds=3)
OTHERS = {"density": "g/cm^3", "hardness": "GPa"}
ABOUT: dict[str, Any] = {"source": "files", "name": "own", "target": "gap", "unit": "eV", "other_targets": OTHERS}
# The target, and both others, of each crystal; the last has none.
ROWS = [(1.5, 3.0, None), (None, 4.0, 9.0), (0.5, None, None), (None, None, 7.5), (2.5, 2.0, 1.0), (None, None, None)]


def table(rows: list[tuple[Any, Any, Any]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["target", *OTHERS])
    structures = [json.dumps(structure(crystal).as_dict()) for crystal in REAL]
    return frame.assign(id=[crystal.id for crystal in REAL], structure=structures)


def in_parquet(folder: Path, frame: pd.DataFrame) -> Path:
    frame.to_parquet(folder / "own.parquet")
    return folder / "own.parquet"


def in_json(folder: Path, frame: pd.DataFrame) -> Path:
    rows = [{name: value for name, value in row.items() if value == value} for row in frame.to_dict("records")]
    (folder / "own.json").write_text(json.dumps(rows))
    return folder / "own.json"


def in_folder(folder: Path, frame: pd.DataFrame) -> Path:
    (folder / "own").mkdir()
    for crystal in REAL:
        structure(crystal).to(str(folder / "own" / f"{crystal.id}.cif"))
    frame.assign(file=frame["id"] + ".cif").drop(columns="structure").to_csv(folder / "own/targets.csv", index=False)
    return folder / "own"


def load(path: Path, **more: Any) -> Manifest:
    return load_dataset(
        FilesDataset(**ABOUT | {"path": str(path), "max_failed_share": 0.5} | more), path.parent / "data"
    )


def failures(folder: Path) -> list[str]:
    return [line.split(",", 2)[2] for line in (folder / "data/failures.csv").read_text().splitlines()[1:]]


@pytest.mark.parametrize("write", [in_parquet, in_json, in_folder])
def test_own_crystals_may_lack_targets_but_not_all(tmp_path: Path, write: Any) -> None:
    manifest = load(write(tmp_path, table(ROWS)))
    found = pd.read_parquet(tmp_path / "data/targets.parquet")
    expected = table(ROWS).iloc[:5].reset_index(drop=True)
    pd.testing.assert_frame_equal(found[["id", "target", *OTHERS]], expected[["id", "target", *OTHERS]])
    assert failures(tmp_path) == ["missing target: target and density and hardness are empty"]
    counts = [(other.name, other.unit, other.known) for other in manifest.other_targets]
    assert counts == [("density", "g/cm^3", 3), ("hardness", "GPa", 3)]
    assert (manifest.counts.kept, manifest.counts.unlabelled) == (5, 2)
    assert manifest.describe_targets().endswith("largest 2.5; 3 of density; 3 of hardness")
    assert Manifest.read(tmp_path / "data/manifest.json") == manifest


def test_a_bad_value_of_another_target_is_listed_as_one_of_the_target_is(tmp_path: Path) -> None:
    bad = [(1.0, "soft", "1"), (1.0, "inf", "1"), (1.0, "1e20", "1"), ("x", "1", "1"), (1.0, "2", ""), (1.0, "3", "4")]
    load(in_folder(tmp_path, table(bad)), max_failed_share=0.9)
    assert failures(tmp_path) == [
        "bad target: 'soft' is not a number (density)",
        "bad target: inf is not a finite number (density)",
        "bad target: 1e+20 is larger than 1e+15; use another unit or a logarithm (density)",
        "bad target: 'x' is not a number",
    ]


def test_a_column_that_is_not_there_is_one_clear_line(tmp_path: Path) -> None:
    for number, write in enumerate((in_parquet, in_folder)):
        (folder := tmp_path / str(number)).mkdir()
        with pytest.raises(UserError, match="lacks the column 'hardness'; it has"):
            load(write(folder, table(ROWS).drop(columns="hardness")))
    with pytest.raises(UserError, match="data set 'own': no crystal has the other target 'hardness'"):
        load(in_json(tmp_path, table(ROWS).drop(columns="hardness")))
    with pytest.raises(UserError, match="data set 'own': no crystal has the target 'gap'"):
        load(in_json(tmp_path, table([(None, *row[1:]) for row in ROWS])))


def test_other_columns_of_a_table_are_nobodys_targets(tmp_path: Path) -> None:
    labelled = table([(row[0] or 1.0, *row[1:]) for row in ROWS])
    load(in_parquet(tmp_path, labelled), other_targets={})
    assert pd.read_parquet(tmp_path / "data/targets.parquet").columns.tolist() == ["id", "target", "group"]
    assert "other_targets" not in (tmp_path / "data/manifest.json").read_text()


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ewald energies of 729 bundled crystals, beside band gaps of 1,056."""
    folder = tmp_path_factory.mktemp("data")
    load_dataset(BESIDE, folder)
    return folder


def split(loaded: Path, folder: Path, splits: Any = FOLDS) -> pd.DataFrame:
    """The training table of fold 0."""
    for name in ("targets.parquet", "structures.parquet"):
        shutil.copy(loaded / name, folder)
    write_splits(splits, BESIDE, folder)
    return pd.read_parquet(folder / "folds/fold0/train.parquet")


def test_crystals_without_the_target_teach_and_are_never_judged_by(loaded: Path, tmp_path: Path) -> None:
    targets = pd.read_parquet(loaded / "targets.parquet")
    assert (len(targets), int(targets["target"].notna().sum()), int(targets["band_gap"].notna().sum())) == (
        1056,
        729,
        1056,
    )
    train = split(loaded, tmp_path)
    beside = train["part"] == "beside"
    assert train.loc[beside, "target"].isna().all()
    assert train.loc[beside, "band_gap"].notna().all()
    assert train.loc[~beside, "target"].notna().all()
    test = pd.concat(pd.read_parquet(tmp_path / f"folds/fold{k}/test_targets.parquet") for k in range(3))
    assert sorted(test["id"]) == sorted(targets.loc[targets["target"].notna(), "id"])
    assert test.columns.tolist() == ["id", "target"]
    record = json.loads((tmp_path / "splits.json").read_text())["folds"][0]
    assert record["beside"] == beside.sum() > 200


def test_no_training_reads_another_target_of_a_test_crystal(loaded: Path, tmp_path: Path) -> None:
    train = split(loaded, tmp_path)
    fold = tmp_path / "folds/fold0"
    tested = set(pd.read_parquet(fold / "test_inputs.parquet")["id"])
    assert pd.read_parquet(fold / "test_inputs.parquet").columns.tolist() == ["id"]
    assert not tested & set(train["id"])
    targets = pd.read_parquet(loaded / "targets.parquet")
    targets.loc[targets["id"].isin(tested), "band_gap"] = 99.0
    (changed := tmp_path / "changed").mkdir()
    shutil.copy(loaded / "structures.parquet", changed)
    targets.to_parquet(changed / "targets.parquet")
    write_splits(FOLDS, BESIDE, changed)
    assert (changed / "folds/fold0/train.parquet").read_bytes() == (fold / "train.parquet").read_bytes()


def test_a_group_that_validates_or_is_tested_teaches_nothing(loaded: Path, tmp_path: Path) -> None:
    train = split(loaded, tmp_path, KFoldSplits(kind="grouped_kfold", n_folds=3))
    groups = pd.read_parquet(loaded / "targets.parquet").set_index("id")["group"]
    parts = {part: set(groups.loc[own["id"]]) for part, own in train.groupby("part")}
    tested = set(groups.loc[pd.read_parquet(tmp_path / "folds/fold0/test_inputs.parquet")["id"]])
    assert not parts["beside"] & (parts["validation"] | tested)


def test_given_folds_use_the_crystals_that_they_list(loaded: Path, tmp_path: Path) -> None:
    targets = pd.read_parquet(loaded / "targets.parquet")
    known, unknown = (own["id"].tolist() for _, own in targets.groupby(targets["target"].isna()))
    rows = [(id_, "train") for id_ in known[:20] + unknown[:5]] + [(id_, "test") for id_ in known[20:25] + unknown[5:9]]
    lines = "".join(f"{id_},0,{part}\n" for id_, part in rows)
    (tmp_path / "folds.csv").write_text(f"id,fold,part\n{lines}")
    train = split(loaded, tmp_path, GivenSplits(kind="ids", path=str(tmp_path / "folds.csv")))
    assert train["part"].value_counts().to_dict() == {"train": 18, "validation": 2, "beside": 5}
    assert pd.read_parquet(tmp_path / "folds/fold0/test_inputs.parquet")["id"].tolist() == known[20:25]


def test_other_programs_get_the_target_alone(loaded: Path, tmp_path: Path) -> None:
    split(loaded, tmp_path)
    export_fold(tmp_path / "folds/fold0/train.parquet", tmp_path / "folds/fold0/test_inputs.parquet", tmp_path)
    for name in ("train.csv", "validation.csv"):
        frame = pd.read_csv(tmp_path / name)
        assert frame.columns.tolist() == ["id", "target"]
        assert frame["target"].notna().all()


def test_one_target_leaves_what_is_written_as_it_was(tmp_path: Path) -> None:
    load_dataset(BundledDataset(**EWALD), tmp_path)
    write_splits(FOLDS, BundledDataset(**EWALD), tmp_path)
    assert "other_targets" not in BundledDataset(**EWALD).model_dump()
    assert "beside" not in (tmp_path / "splits.json").read_text()
    assert pd.read_parquet(tmp_path / "folds/fold0/train.parquet").columns.tolist() == ["id", "target", "part"]


def benchmark(dataset: dict[str, Any], training: dict[str, Any] | None = None, **more: Any) -> Benchmark:
    grid = [{"model": {"kind": "sitenet_radial"}, "features": {"radius": 4.0}, "training": training or {}}]
    return Benchmark({"dataset": dataset, "splits": {"kind": "kfold"}, "grid": grid} | more)


GAP: dict[str, Any] = {"source": "bundled", "name": "mp_dielectric_gap"}
TWO = GAP | {"other_targets": ["refractive_index", "ewald_energy"]}
OWN = ABOUT | {"path": "own.parquet"}


@pytest.mark.parametrize(
    ("dataset", "training", "message"),
    [
        (
            GAP | {"other_targets": ["band_gap"]},
            {},
            "'dataset.other_targets' .* target 'band_gap' is unknown .valid: ref",
        ),
        (GAP | {"other_targets": ["refractive_inde"]}, {}, "did you mean 'refractive_index'"),
        (TWO | {"other_targets": ["ewald_energy"] * 2}, {}, "'dataset.other_targets' .*: none may be repeated"),
        (
            {"source": "matbench", "name": "matbench_mp_gap", "other_targets": ["n"]},
            {},
            "'dataset.other_targets' is unkn",
        ),
        (OWN | {"other_targets": {"gap": "eV"}}, {}, "'dataset.target' has the value 'gap': it is among other_targets"),
        (OWN | {"other_targets": {"Target": "eV"}}, {}, "'Target' cannot be the name of a target"),
        (OWN | {"other_targets": {"c\nd": "eV"}}, {}, "'c.*d' cannot be the name of a target"),
        (TWO, {"other_targets": "band_gap"}, "has the value 'band_gap', which is the target itself"),
        (TWO, {"other_targets": [["ewald_energy", "all"]]}, "'all' has the others in it"),
        (OWN | {"other_targets": ["density"]}, {}, "'dataset.other_targets' .*: input should be a .*dictionary"),
        (
            GAP,
            {"other_targets": "all"},
            "'training.other_targets' has the value 'all', but the data set has no further",
        ),
        (
            TWO,
            {"other_targets": "ewald_energ"},
            "'training.other_targets': target 'ewald_energ' is unknown; did you mean 'ew",
        ),
        (TWO, {"other_targets": [["ewald_energy"] * 2]}, "'grid.0.training.other_targets' .*: none may be repeated"),
        (TWO, {"other_targets": {"choice": [[], "index"]}}, "'training.other_targets': target 'index' is unknown"),
        (
            TWO,
            {"other_targets": "all", "trained": "readout", "start_from": "band-gap"},
            "trained: readout leaves nothing",
        ),
    ],
)
def test_every_mistake_is_one_clear_line(dataset: dict, training: dict, message: str) -> None:
    searched = {"search": {"trials": 2}} if isinstance(training.get("other_targets"), dict) else {}
    with pytest.raises(UserError, match=message) as error:
        benchmark(dataset, training, **searched)
    assert "\n" not in str(error.value)


def test_what_is_learnt_beside_is_scanned_and_names_a_trial() -> None:
    trials = benchmark(TWO, {"other_targets": [[], "ewald_energy", "all"]}).trials
    learnt = [trial.training.other_targets for trial in trials.values()]
    assert learnt == [(), ("ewald_energy",), ("all",)]
    alone = benchmark(GAP)
    assert next(iter(trials)) == next(iter(alone.trials))
    assert "other_targets" not in json.dumps(alone.resolved())


def test_a_search_may_draw_what_is_learnt_beside() -> None:
    drawing = benchmark(TWO, {"other_targets": {"choice": [[], "all"]}}, search={"trials": 2, "sampler": "random"})
    (search,) = drawing.searches.values()
    trials = [search.space.trial(values) for values in draw(search, {}, {}, 2).values()]
    assert sorted(trial.training.other_targets for trial in trials) == [(), ("all",)]

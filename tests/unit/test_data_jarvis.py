"""Tasks of the JARVIS leaderboard: crystals and targets of the official format, and the official split."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from sitenet.config.benchmark import Benchmark
from sitenet.data.sources import jarvis_file
from sitenet.data.sources.jarvis import JARVIS_TARGETS
from sitenet.data.sources.jarvis_file import DATA_URL
from sitenet.data.splits.write import write_splits
from sitenet.data.table import CrystalTable, bundled_path
from sitenet.errors import UserError
from sitenet.settings.splits import OfficialSplits
from tests.jarvis_files import COLUMN, TASK, load, records, settings, splits_of

OFFICIAL = OfficialSplits(kind="official")


def failures(folder: Path) -> list[str]:
    return (folder / "out" / "failures.csv").read_text().splitlines()[1:]


def test_crystals_and_targets_are_those_of_the_file(tmp_path: Path) -> None:
    manifest = load(tmp_path, records(6))
    table = CrystalTable.open(tmp_path / "out" / "structures.parquet")
    assert table.ids == [f"JVASP-{number}" for number in range(6)]
    bundled = CrystalTable.open(bundled_path("mp_dielectric_gap")).crystals(0, 6)
    for crystal, expected in zip(table.crystals(), bundled, strict=True):
        assert crystal.atomic_numbers.tolist() == expected.atomic_numbers.tolist()
        assert np.array_equal(crystal.lattice, expected.lattice)
        assert crystal.frac_coords == pytest.approx(expected.frac_coords, abs=1e-12)
    targets = pq.read_table(tmp_path / "out" / "targets.parquet")["target"].to_pylist()
    assert targets == [0.0, 0.5, 1.0, 1.5, 2.0, 2.5]
    assert (manifest.target, manifest.unit, manifest.non_negative) == ("optb88vdw_bandgap", "eV", True)
    assert (manifest.url, "173 (2020)" in manifest.citation) == (DATA_URL, True)


def test_a_formation_energy_may_be_negative_and_a_gap_may_not(tmp_path: Path) -> None:
    name = "dft_3d_formation_energy_peratom"
    rows = records(10, "formation_energy_peratom")
    rows[3]["formation_energy_peratom"] = -1.25
    manifest = load(tmp_path / "energy", rows, name=name)
    assert (manifest.targets and manifest.targets.smallest, manifest.unit) == (-1.25, "eV/atom")
    rows = records(10)
    rows[3]["optb88vdw_bandgap"] = -1.25
    assert load(tmp_path / "gap", rows, max_failed_share=0.5).failures == {"bad target": 1}


@pytest.mark.parametrize("name", JARVIS_TARGETS)
def test_a_task_has_the_name_of_its_key_in_the_records(name: str) -> None:
    assert name == f"dft_3d_{JARVIS_TARGETS[name].name}"


def test_records_without_the_target_are_counted_and_left_out(tmp_path: Path) -> None:
    rows = records(8)
    rows[1]["optb88vdw_bandgap"] = "na"
    rows[1]["atoms"] = {}  # nobody asks whether it could be read
    rows[5].pop("optb88vdw_bandgap")
    counts = load(tmp_path, rows).counts
    assert (counts.rows, counts.kept, counts.failed, counts.left_out, counts.unlabelled) == (8, 6, 0, 2, 0)


def test_numbers_that_are_not_finite_elsewhere_in_a_record_do_no_harm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python writes NaN, which is no JSON. Pieces far smaller than a record are put together."""
    rows = records(5)
    rows[2]["poisson"] = float("nan")
    monkeypatch.setattr(jarvis_file, "CHUNK", 7)
    assert load(tmp_path, rows).counts.kept == 5


def spoilt_atoms(**values: Any) -> dict[str, Any]:
    return {**records(1)[0]["atoms"], **values}


@pytest.mark.parametrize(
    ("atoms", "reason"),
    [
        (None, "unreadable: not the atoms of a JARVIS record (TypeError"),
        ("na", "unreadable: not the atoms of a JARVIS record (TypeError"),
        ({}, "unreadable: not the atoms of a JARVIS record (KeyError: 'lattice_mat')"),
        (spoilt_atoms(elements=[]), "unreadable: 0 elements, but "),
        (spoilt_atoms(elements=[], coords=[]), "empty: the structure has no sites"),
        (spoilt_atoms(lattice_mat=[[1, 0], [0, 1]]), "unreadable: not the atoms of a JARVIS record (ValueError"),
        (spoilt_atoms(lattice_mat=[[1, 0, 0], [2, 0, 0], [0, 0, 1]]), "unreadable: the cell has no volume"),
        (spoilt_atoms(cartesian="yes"), "unreadable: cartesian is 'yes', neither true nor false"),
        (
            spoilt_atoms(lattice_mat=[[1, 0, 0], [2, 0, 0], [0, 0, 1]], cartesian=True),
            "unreadable: the cell has no volume",
        ),
        (
            spoilt_atoms(lattice_mat=[[float("inf"), 0, 0], [0, 1, 0], [0, 0, 1]], cartesian=True),
            "unreadable: lattice or coordinates are not finite",
        ),
    ],
)
def test_nonsense_atoms_are_one_failure(tmp_path: Path, atoms: Any, reason: str) -> None:
    rows = records(6)
    rows[2]["atoms"] = atoms
    manifest = load(tmp_path, rows, max_failed_share=0.5)
    (line,) = failures(tmp_path)
    assert line.startswith(("JVASP-2,data,", 'JVASP-2,data,"'))
    assert reason in line.replace('""', '"')
    assert (manifest.counts.kept, manifest.counts.failed) == (5, 1)


@pytest.mark.parametrize("symbol", ["Fe0.5Ni0.5", "Xx", ""])
def test_a_site_that_is_no_element_is_one_failure(tmp_path: Path, symbol: str) -> None:
    rows = records(6)
    rows[2]["atoms"]["elements"][0] = symbol
    load(tmp_path, rows, max_failed_share=0.5)
    assert failures(tmp_path) == [f"JVASP-2,data,unreadable: '{symbol}' is not an element"]


def test_records_without_an_id_and_bad_targets_are_failures(tmp_path: Path) -> None:
    rows = records(6)
    del rows[1]["jid"]
    rows[2]["optb88vdw_bandgap"] = "wide"
    rows[4] = ["no", "record"]  # type: ignore[call-overload]
    load(tmp_path, rows, splits_of(records(6)), max_failed_share=0.9)
    assert failures(tmp_path) == [
        "record 2,data,unreadable: the record has no jid",
        "JVASP-2,data,bad target: 'wide' is not a number",
        "record 5,data,unreadable: the record has no jid",
    ]


def test_all_records_of_a_repeated_jid_fail(tmp_path: Path) -> None:
    rows = records(6)
    rows[4]["jid"] = "JVASP-1"
    rows[5] = {**rows[5], "jid": "JVASP-2", "optb88vdw_bandgap": "na"}
    counts = load(tmp_path, rows, max_failed_share=0.9).counts
    assert (
        failures(tmp_path)
        == ["JVASP-1,data,duplicate id: 2 rows have it"] * 2 + ["JVASP-2,data,duplicate id: 2 rows have it"] * 2
    )
    assert (counts.rows, counts.kept, counts.failed, counts.left_out) == (6, 2, 4, 0)


def test_the_official_parts_are_used_as_published(tmp_path: Path) -> None:
    rows = records(20)
    load(tmp_path, rows)
    asked = settings()
    record = write_splits(OFFICIAL, asked, tmp_path / "out", download=asked.download(tmp_path))
    parts = splits_of(rows)
    fold = tmp_path / "out" / "folds" / "fold0"
    train = pq.read_table(fold / "train.parquet").to_pylist()
    assert [row["id"] for row in train if row["part"] == "train"] == list(parts["train"])
    assert [row["id"] for row in train if row["part"] == "validation"] == list(parts["val"])
    assert pq.read_table(fold / "test_inputs.parquet")["id"].to_pylist() == list(parts["test"])
    assert (len(record.folds), record.folds[0].is_whole) == (1, True)


def test_what_data_and_splits_do_not_have_in_common_is_one_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = records(20)
    parts = splits_of(rows)
    parts["train"] |= {"JVASP-100": "1.0", "JVASP-101": "1.0"}
    del parts["test"]["JVASP-4"]
    parts["val"]["JVASP-6"] = "7.5"
    with caplog.at_level(logging.WARNING):
        load(tmp_path, rows, parts)
    assert [message for message in caplog.messages if message.startswith("data and official splits")] == [
        "data and official splits differ: ids of the splits without a target in the data: 2 (JVASP-100, JVASP-101); "
        "crystals with a target, but in no part: 1 (JVASP-4); targets that are not those of the splits: 1 (JVASP-6)"
    ]
    asked = settings()
    record = write_splits(OFFICIAL, asked, tmp_path / "out", download=asked.download(tmp_path))
    assert "fold 0: 2 of 21 crystals are not used" in caplog.text
    assert "(2 ids are not in the data set: JVASP-100, JVASP-101)" in caplog.text
    assert (record.folds[0].train, record.folds[0].full_train) == (12, 18)


def test_what_agrees_is_not_talked_about(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    load(tmp_path, records(20))
    assert "differ" not in caplog.text


def test_an_unknown_task_is_answered_with_the_nearest_one() -> None:
    with pytest.raises(ValidationError, match="did you mean 'dft_3d_optb88vdw_bandgap'"):
        settings(name="dft_3d_optb88_bandgap")


def configuration(**values: Any) -> dict[str, Any]:
    return {
        "dataset": {"source": "jarvis", "name": TASK},
        "splits": {"kind": "official"},
        "grid": [{"model": {"kind": "dummy"}}],
        **values,
    }


def test_a_benchmark_has_the_one_official_fold() -> None:
    assert Benchmark(configuration()).folds == (0,)
    with pytest.raises(UserError, match="'folds' has the value 1: the splits have folds 0 to 0"):
        Benchmark(configuration(folds=[1]))


def test_submissions_to_matbench_are_not_for_jarvis() -> None:
    with pytest.raises(UserError, match=r"'dataset\.source' has the value 'jarvis', but .* \(valid: matbench\)"):
        Benchmark(configuration(grid=[{"model": {"kind": "published"}}]))


def test_a_record_may_lack_the_target_if_it_has_another_one(tmp_path: Path) -> None:
    rows = records(12)
    for number, row in enumerate(rows):
        row["mbj_bandgap"] = "na" if number % 2 else 10.0 + number
    rows[1][COLUMN] = rows[2][COLUMN] = "na"
    manifest = load(tmp_path, rows, other_targets=["mbj_bandgap"])
    table = pq.read_table(tmp_path / "out" / "targets.parquet").to_pydict()
    assert "JVASP-1" not in table["id"]
    assert table["target"][:3] == [0.0, None, 1.5]
    assert table["mbj_bandgap"][:3] == [10.0, 12.0, None]
    assert (manifest.counts.left_out, manifest.other_targets[0].known) == (1, 6)

"""Matbench tasks: metadata of the package, the official file format, and what goes wrong with files."""

import gzip
import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from pymatgen.core import Structure

from sitenet.data.load import load_dataset
from sitenet.data.matbench_task import official_folds, official_task
from sitenet.data.sources.matbench import MATBENCH_TARGETS, MatbenchDataset
from sitenet.data.table import CrystalTable, bundled_path
from sitenet.errors import UserError
from tests.http_server import Answer, serving
from tests.shared_data import SHARED, needs_matbench

TASK = "matbench_jdft2d"


@pytest.mark.parametrize("name", MATBENCH_TARGETS)
def test_configured_targets_are_those_of_the_package(name: str) -> None:
    task, target = official_task(name), MATBENCH_TARGETS[name]
    assert (task.column, task.unit or "") == (target.name, target.unit)
    assert task.file_name == f"{name}.json.gz"


def test_all_tasks_with_structures_are_offered() -> None:
    from matbench.metadata import mbv01_metadata

    wanted = {name: task.task_type for name, task in mbv01_metadata.items() if task.input_type == "structure"}
    assert {name: target.task for name, target in MATBENCH_TARGETS.items()} == wanted


@pytest.mark.parametrize("name", MATBENCH_TARGETS)
def test_official_folds_cover_every_crystal_once(name: str) -> None:
    task, folds = official_task(name), official_folds(name)
    everything = {task.id(n) for n in range(task.n_crystals)}
    tested = [id_ for _, test in folds for id_ in test]
    assert sorted(tested) == sorted(everything)
    for train, test in folds:
        assert set(train) == everything - set(test)


def official_file(path: Path, rows: list[list[Any]], columns: tuple[str, str] = ("structure", "exfoliation_en")) -> str:
    """Writes rows in the official format and returns the checksum."""
    content = {"index": list(range(len(rows))), "columns": columns, "data": rows}
    path.write_bytes(gzip.compress(json.dumps(content).encode()))
    return hashlib.sha256(path.read_bytes()).hexdigest()


def structures(n: int) -> list[dict[str, Any]]:
    crystals = CrystalTable.open(bundled_path("mp_dielectric_gap")).crystals(0, n)
    return [Structure(c.lattice, c.atomic_numbers.tolist(), c.frac_coords).as_dict() for c in crystals]


def settings(sha256: str, **values: Any) -> MatbenchDataset:
    return MatbenchDataset(source="matbench", name=TASK, expected_sha256=sha256, **values)


def load(folder: Path, rows: list[list[Any]], **values: Any) -> Any:
    checksum = official_file(folder / f"{TASK}.json.gz", rows)
    asked = settings(checksum, **values)
    return load_dataset(asked, folder / "out", asked.download(folder))


def test_structures_and_targets_are_those_of_the_file(tmp_path: Path) -> None:
    rows: list[list[Any]] = [[structure, 1.5 + n] for n, structure in enumerate(structures(5))]
    manifest = load(tmp_path, rows)
    table = CrystalTable.open(tmp_path / "out" / "structures.parquet")
    assert table.ids == [f"mb-jdft2d-{n:03d}" for n in range(1, 6)]
    for crystal, (structure, _) in zip(table.crystals(), rows, strict=True):
        expected = Structure.from_dict(structure)
        assert crystal.atomic_numbers.tolist() == list(expected.atomic_numbers)
        assert np.array_equal(crystal.frac_coords, expected.frac_coords)
        assert np.array_equal(crystal.lattice, expected.lattice.matrix)
    targets = pq.read_table(tmp_path / "out" / "targets.parquet")["target"].to_pylist()
    assert targets == [1.5, 2.5, 3.5, 4.5, 5.5]
    assert (manifest.unit, manifest.counts.kept) == ("meV/atom", 5)
    assert "Dunn et al." in manifest.citation


def test_null_targets_are_unlabelled_crystals(tmp_path: Path) -> None:
    first, second = structures(2)
    manifest = load(tmp_path, [[first, None], [second, 2]])
    assert (manifest.counts.kept, manifest.counts.unlabelled) == (2, 1)


def test_a_row_fails_alone_and_keeps_the_ids_of_the_others(tmp_path: Path) -> None:
    first, disordered, unknown, last = structures(4)
    disordered["sites"][0]["species"] = [{"element": "Fe", "occu": 0.5}, {"element": "Ni", "occu": 0.5}]
    unknown["sites"][1]["species"] = [{"element": "Xx", "occu": 1}]
    load(
        tmp_path,
        [[first, 1], [disordered, 1], [unknown, 1], [{"no": "sites"}, 1], [last, 1]],
        max_failed_share=0.9,
    )
    assert (tmp_path / "out" / "failures.csv").read_text().splitlines() == [
        "id,stage,reason",
        'mb-jdft2d-002,data,"disordered: site 0 holds Fe 0.5, Ni 0.5"',
        "mb-jdft2d-003,data,unreadable: 'Xx' is not an element",
        "mb-jdft2d-004,data,unreadable: not a pymatgen structure (KeyError: 'sites')",
    ]
    assert CrystalTable.open(tmp_path / "out" / "structures.parquet").ids == [
        "mb-jdft2d-001",
        "mb-jdft2d-005",
    ]


def test_partly_occupied_sites_are_disordered(tmp_path: Path) -> None:
    first, vacancy = structures(2)
    vacancy["sites"][0]["species"][0]["occu"] = 0.9
    manifest = load(tmp_path, [[first, 1], [vacancy, 1]], max_failed_share=0.5)
    assert manifest.failures == {"disordered": 1}


def test_the_official_checksum_is_required_unless_another_is_stated(tmp_path: Path) -> None:
    official_file(tmp_path / f"{TASK}.json.gz", [])
    with pytest.raises(UserError, match=f"but {official_task(TASK).sha256} is expected"):
        MatbenchDataset(source="matbench", name=TASK).download(tmp_path)


def test_a_mirror_replaces_the_official_host(tmp_path: Path) -> None:
    (tmp_path / "mirror").mkdir()
    checksum = official_file(tmp_path / "mirror" / f"{TASK}.json.gz", [])
    download = settings(checksum, mirror=f"{tmp_path}/mirror/").download(tmp_path / "downloads")
    assert Path(download.path).read_bytes() == (tmp_path / "mirror" / f"{TASK}.json.gz").read_bytes()


def test_a_url_serves_as_mirror_too(tmp_path: Path) -> None:
    path = tmp_path / f"{TASK}.json.gz"
    checksum = official_file(path, [])
    asked: list[str] = []

    def answer(request: BaseHTTPRequestHandler) -> Answer:
        asked.append(request.path)
        return 200, {}, path.read_bytes()

    with serving(answer) as address:
        settings(checksum, mirror=f"{address}mirror").download(tmp_path / "downloads")
    assert asked == [f"/mirror/{TASK}.json.gz"]


def test_files_of_another_task_are_refused(tmp_path: Path) -> None:
    path = tmp_path / f"{TASK}.json.gz"
    asked = settings(official_file(path, [], ("structure", "gap pbe")))
    with pytest.raises(UserError, match=r"'gap pbe'.*'exfoliation_en'"):
        load_dataset(asked, tmp_path / "out", asked.download(tmp_path))


@pytest.mark.parametrize("keep", [200, -200])
def test_cut_files_are_damaged(tmp_path: Path, keep: int) -> None:
    path = tmp_path / f"{TASK}.json.gz"
    official_file(path, [[structure, 1] for structure in structures(20)])
    path.write_bytes(path.read_bytes()[:keep])
    asked = settings(hashlib.sha256(path.read_bytes()).hexdigest())
    with pytest.raises(UserError, match=r"json\.gz is damaged"):
        load_dataset(asked, tmp_path / "out", asked.download(tmp_path))
    assert not (tmp_path / "out" / "manifest.json").exists()


@pytest.mark.parametrize("spoil", [Path.unlink, lambda path: path.write_bytes(b"other")], ids=["missing", "changed"])
def test_a_download_that_is_gone_or_changed_is_named(tmp_path: Path, spoil: Callable[[Path], object]) -> None:
    path = tmp_path / f"{TASK}.json.gz"
    asked = settings(official_file(path, [[structure, 1] for structure in structures(2)]))
    download = asked.download(tmp_path)
    spoil(path)
    with pytest.raises(UserError, match=r"jdft2d\.json\.gz is missing or has changed .*--forcerun download"):
        load_dataset(asked, tmp_path / "out", download)


@needs_matbench
def test_first_rows_of_the_official_band_gap_task(tmp_path: Path) -> None:
    path = tmp_path / "matbench_mp_gap.json.gz"
    writer = SHARED / "tools" / "write_matbench_json.py"
    subprocess.run([sys.executable, writer, path, "--rows", "200"], check=True, capture_output=True)
    checksum = hashlib.sha256(path.read_bytes()).hexdigest()
    asked = MatbenchDataset(source="matbench", name="matbench_mp_gap", expected_sha256=checksum)
    manifest = load_dataset(asked, tmp_path / "out", asked.download(tmp_path))
    expected = pq.ParquetFile(SHARED / "data" / "matbench_mp_gap.parquet").read_row_group(0).slice(0, 200)
    written = pq.read_table(tmp_path / "out" / "targets.parquet")
    assert written["id"].to_pylist() == expected["mbid"].to_pylist()
    assert written["target"].to_pylist() == expected["gap_pbe"].to_pylist()
    assert manifest.counts.unlabelled == expected["gap_pbe"].null_count > 0
    crystals = CrystalTable.open(tmp_path / "out" / "structures.parquet").crystals()
    for crystal, numbers in zip(crystals, expected["atomic_numbers"].to_pylist(), strict=True):
        assert crystal.atomic_numbers.tolist() == numbers

"""The Materials Project through its real client, against a local server that speaks the real protocol."""

import gzip
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from mp_api.client.core.client import _Rester

from sitenet.data.load import load_dataset
from sitenet.data.sources import materials_project_client as client
from sitenet.data.sources.materials_project import MaterialsProjectDataset
from sitenet.data.sources.materials_project_download import Query, refetch
from sitenet.data.table import CrystalTable
from sitenet.errors import UserError
from tests.http_server import Answer
from tests.materials_project_stub import KEY, Service, error, materials_project, summary_documents


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Iterator[Service]:
    """A running service with 60 documents, asked for 25 at a time and without waiting."""
    caplog.set_level(logging.DEBUG)
    running = Service(summary_documents(60))
    with materials_project(running) as address:
        monkeypatch.setenv("MP_API_KEY", KEY)
        monkeypatch.setenv("MP_API_ENDPOINT", address)
        monkeypatch.setattr(client, "BATCH", 25)
        monkeypatch.setattr(client.time, "sleep", lambda _: None)
        yield running
    _Rester._get_heartbeat_info.cache_clear()
    assert KEY not in caplog.text


def settings(**values: Any) -> MaterialsProjectDataset:
    defaults: dict[str, Any] = {
        "source": "materials_project",
        "name": "mine",
        "target": "band_gap",
        "unit": "eV",
    }
    return MaterialsProjectDataset(**defaults | values)


def fetch(folder: Path, **values: Any) -> Any:
    asked = settings(**values)
    return load_dataset(asked, folder / "out", asked.download(folder))


def fetched_ids(folder: Path) -> list[str]:
    return CrystalTable.open(folder / "out" / "structures.parquet").ids


def number(id_: str) -> int:
    return int(id_.removeprefix("mp-"))


def test_a_data_set_is_what_the_service_holds_in_the_order_of_ids(service: Service, tmp_path: Path) -> None:
    manifest = fetch(tmp_path)
    gaps = {doc["material_id"]: doc["band_gap"] for doc in service.documents}
    table = pq.read_table(tmp_path / "out" / "targets.parquet").to_pydict()
    assert table["id"] == sorted(gaps, key=number)
    assert table["target"] == [gaps[id_] for id_ in table["id"]]
    sizes = {doc["material_id"]: doc["nsites"] for doc in service.documents}
    for crystal in CrystalTable.open(tmp_path / "out" / "structures.parquet").crystals():
        assert len(crystal.atomic_numbers) == sizes[crystal.id]
    assert manifest.version == "Materials Project database 2026.04.13"
    assert manifest.licence == "CC BY 4.0"
    assert json.loads(manifest.query)["deprecated"] is False


@pytest.mark.usefixtures("service")
def test_a_snapshot_that_is_gone_is_named(tmp_path: Path) -> None:
    download = settings().download(tmp_path)
    Path(download.path).unlink()
    with pytest.raises(UserError, match=r"mine\.jsonl\.gz is missing or has changed .*--forcerun download"):
        load_dataset(settings(), tmp_path / "out", download)


@pytest.mark.parametrize(
    ("criteria", "meets"),
    [
        ({"energy_above_hull": 0.2}, lambda doc: doc["energy_above_hull"] <= 0.2),
        ({"num_sites": (3, 6)}, lambda doc: 3 <= doc["nsites"] <= 6),
        ({"band_gap": (1, 3)}, lambda doc: 1 <= doc["band_gap"] <= 3),
        ({"elements": ["O"]}, lambda doc: "O" in doc["elements"]),
        ({"exclude_elements": ["O", "Te"]}, lambda doc: not {"O", "Te"} & set(doc["elements"])),
    ],
)
def test_criteria_reach_the_service(service: Service, tmp_path: Path, criteria: dict, meets: Any) -> None:
    fetch(tmp_path, **criteria)
    expected = [doc["material_id"] for doc in service.documents if meets(doc)]
    assert 0 < len(expected) < 60
    assert fetched_ids(tmp_path) == sorted(expected, key=number)


def test_deprecated_noble_gas_and_gnome_entries_are_left_out(service: Service, tmp_path: Path) -> None:
    deprecated, noble, gnome, *others = service.documents
    deprecated["deprecated"] = True
    noble["elements"] = ["Xe", "F"]
    gnome["batch_id"] = "gnome_r2scan_statics"
    fetch(tmp_path)
    assert set(fetched_ids(tmp_path)) == {doc["material_id"] for doc in others}


def test_nested_fields_can_be_targets(service: Service, tmp_path: Path) -> None:
    fetch(tmp_path, target="bulk_modulus.vrh", unit="GPa")
    values = {doc["material_id"]: doc["bulk_modulus"]["vrh"] for doc in service.documents}
    table = pq.read_table(tmp_path / "out" / "targets.parquet").to_pydict()
    assert dict(zip(table["id"], table["target"], strict=True)) == values


def test_missing_fields_and_documents_are_listed(service: Service, tmp_path: Path) -> None:
    no_target, no_structure, null_target, *_ = service.documents
    del no_target["band_gap"], no_structure["structure"]
    null_target["band_gap"] = None
    manifest = fetch(tmp_path, max_failed_share=0.1)
    assert manifest.failures == {"missing target": 2, "missing structure": 1}
    rows = (tmp_path / "out" / "failures.csv").read_text()
    for doc in (no_target, no_structure, null_target):
        assert f"{doc['material_id']},data," in rows


BUSY = error(429, **{"Retry-After": "0"})
CUT = (200, {"Content-Length": "5000"}, b'{"data": [{"mater')
CUT_UNNOTICED: Answer = (200, {}, b'{"data": [{"mater')


@pytest.mark.parametrize("failure", [BUSY, error(500), error(502), error(503), CUT, CUT_UNNOTICED])
@pytest.mark.parametrize("at", [0, 2])
def test_failures_that_pass_are_asked_again(service: Service, tmp_path: Path, failure: Answer, at: int) -> None:
    service.failures = [None] * at + [failure] * 2
    assert fetch(tmp_path).counts.kept == 60
    assert not service.failures


def test_a_wrong_key_is_final_and_not_shown(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = "w" * 32
    monkeypatch.setenv("MP_API_KEY", wrong)
    with pytest.raises(UserError, match=r"401.*check the key in MP_API_KEY") as caught:
        fetch(tmp_path)
    assert not service.questions
    assert wrong not in str(caught.value) + caplog.text
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("key", ["", "too-short"])
def test_a_missing_or_malformed_key_is_explained(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv("MP_API_KEY", key)
    with pytest.raises(UserError, match="MP_API_KEY"):
        fetch(tmp_path)


@pytest.mark.parametrize("beat", [error(403), error(500), (200, {}, b"{}"), (200, {}, b"<html>")])
def test_a_service_that_is_down_is_one_clear_line(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, beat: Answer
) -> None:
    monkeypatch.setattr(service, "beat", beat)
    with pytest.raises(UserError, match="the Materials Project") as caught:
        fetch(tmp_path)
    assert "\n" not in str(caught.value)


def test_an_unknown_field_is_final(service: Service, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="invalid fields requested"):
        fetch(tmp_path, target="bandgap")


def test_the_key_is_in_no_file(service: Service, tmp_path: Path) -> None:
    fetch(tmp_path)
    for path in tmp_path.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert KEY.encode() not in (gzip.decompress(content) if path.suffix == ".gz" else content)


def test_an_interrupted_fetch_goes_on_where_it_stopped(service: Service, tmp_path: Path) -> None:
    service.failures = [None, None, *[error(500)] * client.ATTEMPTS]
    with pytest.raises(UserError, match="500"):
        fetch(tmp_path)
    part = tmp_path / "mine.jsonl.gz.part"
    part.write_bytes(part.read_bytes()[:-100])  # as if killed while writing a line
    service.questions.clear()
    fetch(tmp_path)
    asked = [id_ for question in service.questions for id_ in question.get("material_ids", "").split(",") if id_]
    assert len(asked) == 60 - 24
    resumed = (tmp_path / "mine.jsonl.gz").read_bytes()
    fetch(tmp_path / "fresh")
    assert resumed == (tmp_path / "fresh" / "mine.jsonl.gz").read_bytes()


def test_an_interrupted_fetch_of_another_database_starts_anew(service: Service, tmp_path: Path) -> None:
    service.failures = [None, None, *[error(500)] * client.ATTEMPTS]
    with pytest.raises(UserError, match="500"):
        fetch(tmp_path)
    _Rester._get_heartbeat_info.cache_clear()
    service.version = "2026.09.01"
    service.documents = service.documents[:10]
    assert fetch(tmp_path).counts.rows == 10


def test_a_snapshot_is_frozen(service: Service, tmp_path: Path) -> None:
    first = fetch(tmp_path)
    service.documents[0]["band_gap"] = 99.0
    asked = len(service.questions)
    assert fetch(tmp_path) == first
    assert len(service.questions) == asked


@pytest.mark.parametrize("content", [b"", b"[1, 2]\n", b"\xff\xfe\n"])
def test_a_damaged_snapshot_is_one_line(service: Service, tmp_path: Path, content: bytes) -> None:
    fetch(tmp_path)
    (tmp_path / "mine.jsonl.gz").write_bytes(gzip.compress(content))
    with pytest.raises(UserError, match=r"mine\.jsonl\.gz is damaged .*; remove it to fetch it again") as caught:
        fetch(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_snapshot_of_other_criteria_is_not_used(service: Service, tmp_path: Path) -> None:
    fetch(tmp_path)
    with pytest.raises(UserError, match=r"choose another dataset\.name, or refetch"):
        fetch(tmp_path, num_sites=(1, 5))


def test_refetching_shows_what_changed_and_keeps_the_old(service: Service, tmp_path: Path) -> None:
    removed, changed, *kept = service.documents
    service.documents = [removed, changed, *kept[:-1]]
    fetch(tmp_path)
    before = (tmp_path / "mine.jsonl.gz").read_bytes()
    service.documents = [changed | {"band_gap": 9.0}, *kept]
    service.version = "2026.09.01"
    _Rester._get_heartbeat_info.cache_clear()
    changes = refetch(Query(settings().name, settings().target, settings().criteria), tmp_path)
    assert changes.added == (kept[-1]["material_id"],)
    assert changes.removed == (removed["material_id"],)
    assert changes.changed == (changed["material_id"],)
    assert (changes.old_version, changes.new_version) == ("2026.04.13", "2026.09.01")
    assert (tmp_path / "mine.2026.04.13.jsonl.gz").read_bytes() == before
    assert fetch(tmp_path).version.endswith("2026.09.01")


def test_refetching_one_version_twice_keeps_every_snapshot(service: Service, tmp_path: Path) -> None:
    fetch(tmp_path)
    kept = [(tmp_path / "mine.jsonl.gz").read_bytes()]
    for _ in range(2):
        service.documents = service.documents[:-1]
        refetch(Query(settings().name, settings().target, settings().criteria), tmp_path)
        kept.append((tmp_path / "mine.jsonl.gz").read_bytes())
    names = ("mine.2026.04.13", "mine.2026.04.13-2", "mine")
    assert [(tmp_path / f"{name}.jsonl.gz").read_bytes() for name in names] == kept
    assert len(set(kept)) == 3


def test_true_and_false_are_no_numbers(service: Service, tmp_path: Path) -> None:
    for document in service.documents:
        document["is_metal"] = True
    with pytest.raises(UserError, match="60 bad target"):
        fetch(tmp_path, target="is_metal", unit="1")
    listed = (tmp_path / "out" / "unusable.csv").read_text()
    assert "bad target: True is a class: set dataset.task to classification" in listed


def test_further_fields_can_be_targets_beside(service: Service, tmp_path: Path) -> None:
    no_gap, no_modulus, neither, *_ = service.documents
    del no_gap["band_gap"], no_modulus["bulk_modulus"], neither["band_gap"], neither["bulk_modulus"]
    manifest = fetch(tmp_path, other_targets={"bulk_modulus.vrh": "GPa"}, max_failed_share=0.1)
    table = pq.read_table(tmp_path / "out" / "targets.parquet").to_pydict()
    moduli = dict(zip(table["id"], table["bulk_modulus.vrh"], strict=True))
    assert moduli[no_gap["material_id"]] == no_gap["bulk_modulus"]["vrh"]
    assert moduli[no_modulus["material_id"]] is None
    assert manifest.failures == {"missing target": 1}
    assert [(other.name, other.unit, other.known) for other in manifest.other_targets] == [
        ("bulk_modulus.vrh", "GPa", 58)
    ]
    with pytest.raises(UserError, match=r"fetched for band_gap, bulk_modulus\.vrh with .* asks for band_gap with"):
        settings().download(tmp_path)

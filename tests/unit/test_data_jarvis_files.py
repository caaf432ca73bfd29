"""Files of JARVIS tasks: where they come from, their checksums, and what is said of damaged and other ones."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sitenet.data.load import load_dataset
from sitenet.data.manifest import Download
from sitenet.data.sources import jarvis_file
from sitenet.data.sources.jarvis_file import DATA_FILE, DATA_URL, SPLITS_URL
from sitenet.errors import UserError
from tests.jarvis_files import TASK, load, pack, records, settings, splits_of, write_files


def test_a_mirror_holds_both_files_and_checksums_are_recorded(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    sums = write_files(tmp_path / "mirror", records(5))
    download = settings(mirror=f"{tmp_path}/mirror/").download(tmp_path / "downloads")
    download.write(tmp_path / "download.json")
    read = Download.read(tmp_path / "download.json")
    assert read.splits is not None
    assert (read.sha256, read.splits.sha256) == sums
    assert Path(read.splits.path).read_bytes() == (tmp_path / "mirror" / f"{TASK}.json.zip").read_bytes()
    assert f"{DATA_FILE} has the SHA-256 {sums[0]}, which nothing was compared with" in caplog.text
    assert "state it as dataset.expected_splits_sha256" in caplog.text


def test_a_record_of_other_downloads_is_as_it_was(tmp_path: Path) -> None:
    Download(path="x", sha256="0").write(tmp_path / "download.json")
    assert set(json.loads((tmp_path / "download.json").read_text())) == {
        "format",
        "files",
        "path",
        "sha256",
        "checksum",
    }


@pytest.mark.parametrize("key", ["expected_sha256", "expected_splits_sha256"])
@pytest.mark.parametrize("there", [True, False], ids=["by hand", "mirror"])
def test_a_stated_checksum_is_required(tmp_path: Path, key: str, there: bool, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / ("downloads" if there else "mirror")
    sums = dict(zip(("expected_sha256", "expected_splits_sha256"), write_files(folder, records(5)), strict=True))
    values: dict[str, Any] = {**sums, "mirror": str(tmp_path / "mirror")}
    settings(**values).download(tmp_path / "downloads")
    assert "nothing was compared with" not in caplog.text
    for path in (tmp_path / "downloads").iterdir():
        if not there:
            path.unlink()
    with pytest.raises(
        UserError, match=rf"has the SHA-256 {sums[key]}, but 0{{64}} is expected; .* set dataset\.{key} "
    ):
        settings(**{**values, key: "0" * 64}).download(tmp_path / "downloads")


def test_without_a_mirror_the_official_hosts_are_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def fetch(location: str, path: Path, *_: object) -> None:
        asked.append(location)
        path.write_bytes(b"")

    monkeypatch.setattr(jarvis_file, "fetch", fetch)
    settings().download(tmp_path)
    assert asked == [DATA_URL, f"{SPLITS_URL}/{TASK}.json.zip"]


def test_a_file_that_the_mirror_lacks_is_named(tmp_path: Path) -> None:
    write_files(tmp_path / "mirror", records(5))
    (tmp_path / "mirror" / f"{TASK}.json.zip").unlink()
    with pytest.raises(UserError, match=rf"{TASK}\.json\.zip \(dataset\.mirror\): No such file"):
        settings(mirror=str(tmp_path / "mirror")).download(tmp_path / "downloads")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-300])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


@pytest.mark.parametrize("spoil", [cut, flip, lambda path: path.write_text("<html>")], ids=["cut", "flip", "page"])
@pytest.mark.parametrize("name", [DATA_FILE, f"{TASK}.json.zip"])
def test_a_damaged_archive_is_one_line(tmp_path: Path, name: str, spoil: Callable[[Path], object]) -> None:
    write_files(tmp_path, records(40))
    spoil(tmp_path / name)
    asked = settings()
    with pytest.raises(UserError, match=r"json\.zip is damaged: .*; remove it and run again") as caught:
        load_dataset(asked, tmp_path / "out", asked.download(tmp_path))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out" / "manifest.json").exists()


@pytest.mark.parametrize("name", [DATA_FILE, f"{TASK}.json.zip"])
def test_an_archive_without_the_file_is_named(tmp_path: Path, name: str) -> None:
    write_files(tmp_path, records(5))
    pack(tmp_path / name, [], "other.json")
    asked = settings()
    with pytest.raises(UserError, match=rf"^[^:]*{name} lacks '{name.removesuffix('.zip')}'; it holds other\.json$"):
        load_dataset(asked, tmp_path / "out", asked.download(tmp_path))


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ({"jid": "JVASP-1"}, "is damaged: it holds no JSON list"),
        ([], "has no 'optb88vdw_bandgap' in any of its 0 records"),
        ([{"jid": "JVASP-1"}], "has no 'optb88vdw_bandgap' in any of its 1 records"),
    ],
)
def test_a_file_that_is_another_one_is_named(tmp_path: Path, rows: Any, expected: str) -> None:
    with pytest.raises(UserError, match=rf"{DATA_FILE} {expected}"):
        load(tmp_path, rows, splits_of(records(5)))


def test_json_that_breaks_off_is_damaged(tmp_path: Path) -> None:
    write_files(tmp_path, records(5))
    with zipfile.ZipFile(tmp_path / DATA_FILE, "w") as archive:
        archive.writestr(DATA_FILE.removesuffix(".zip"), json.dumps(records(5))[:-9])
    asked = settings()
    with pytest.raises(UserError, match="is damaged: its JSON breaks off after 4 records"):
        load_dataset(asked, tmp_path / "out", asked.download(tmp_path))


@pytest.mark.parametrize("splits", [[], {"train": {}, "test": {}}, {"train": {"a": "x"}, "val": {}, "test": {}}])
def test_splits_of_another_form_are_named(tmp_path: Path, splits: Any) -> None:
    with pytest.raises(UserError, match=rf"{TASK}\.json\.zip is no file of splits: it needs train, val, test"):
        load(tmp_path, records(5), splits)


@pytest.mark.parametrize("name", [DATA_FILE, f"{TASK}.json.zip"])
def test_a_file_that_changed_after_the_download_is_named(tmp_path: Path, name: str) -> None:
    write_files(tmp_path, records(5))
    asked = settings()
    download = asked.download(tmp_path)
    (tmp_path / name).write_bytes(b"other")
    with pytest.raises(UserError, match=rf"{name} is missing or has changed .*--forcerun download"):
        load_dataset(asked, tmp_path / "out", download)

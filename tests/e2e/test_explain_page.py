"""The command `sitenet explain`, and its page in a real browser."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page
from pymatgen.core import Structure

from sitenet.cli import main
from sitenet.data.manifest import Manifest
from sitenet.data.table import CrystalTable, bundled_path
from sitenet.prediction.explain.explanation import explain
from sitenet.training.run import train
from tests.browser import chromium, needs_browser, watch
from tests.training_case import NETWORK, RADIAL_NETWORK, write_data_set, write_inputs

pytestmark = needs_browser
COMMAND = [sys.executable, "-m", "sitenet", "explain"]
HOSTILE = "<img src=x onerror=alert(1)>.cif"
CRYSTAL = next(c for c in CrystalTable.open(bundled_path("mp_dielectric_gap")).crystals() if c.id == "mp-23059")
DRIVER = "GL Driver Message"  # what a driver without a GPU says of its speed


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pages of two kinds of networks on one crystal, its file, the checkpoints, and their training data."""
    folder = tmp_path_factory.mktemp("explained")
    inputs = write_inputs(folder)
    write_data_set(folder / "data", inputs)
    checksum = Manifest.read(folder / "data/manifest.json").structures_sha256
    for name, settings in (("sitenet", NETWORK), ("radial", RADIAL_NETWORK)):
        for seed in (1, 2):
            job = inputs.job(folder / f"{name}{seed}", settings, max_epochs=seed)
            train(replace(job, data_checksum=checksum))
    structure = Structure(CRYSTAL.lattice, CRYSTAL.atomic_numbers.tolist(), CRYSTAL.frac_coords)
    (folder / "two").mkdir()
    for name in (HOSTILE, "two/a.cif", "two/b.cif"):
        (folder / name).write_text(structure.to(fmt="cif"))
    models = ("--model", "sitenet1", "--model", "sitenet2/best.pt")
    run(folder, HOSTILE, *models, "--training", "data", "--out", "ensemble.html")
    run(folder, HOSTILE, "--model", "radial1/best.pt", "--out", "radial.html")
    return folder


def run(folder: Path, *arguments: str) -> None:
    done = subprocess.run([*COMMAND, *arguments], cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture(params=["ensemble", "radial"])
def page(browser: Browser, folder: Path, request: pytest.FixtureRequest) -> Iterator[Page]:
    """Each page; nothing may go wrong in it, and it may ask for nothing, whatever a test does."""
    with browser.new_context(viewport={"width": 1200, "height": 900}, color_scheme="light") as context:
        tab = context.new_page()
        problems = watch(tab)
        tab.goto((folder / f"{request.param}.html").as_uri())
        tab.wait_for_selector("html[data-ready]")
        yield tab
        assert [problem for problem in problems if DRIVER not in problem] == []


def picture(page: Page, path: Path) -> np.ndarray:
    page.wait_for_timeout(300)
    page.locator("#viewer").screenshot(path=path)
    return np.asarray(Image.open(path).convert("RGB"))


def test_the_structure_is_drawn_and_the_choices_change_it(page: Page, tmp_path: Path) -> None:
    assert page.evaluate("document.documentElement.dataset.ready") == "drawn"
    page.locator("#head").select_option("")
    plain = picture(page, tmp_path / "plain.png")
    assert len(np.unique(plain.reshape(-1, 3), axis=0)) > 100
    page.locator("#head").select_option("0")
    attended = picture(page, tmp_path / "attended.png")
    assert (attended != plain).any(axis=2).mean() > 0.01
    page.locator("#colour").select_option("contribution")
    assert (picture(page, tmp_path / "shaded.png") != attended).any(axis=2).mean() > 0.01


def test_the_pairs_are_those_of_the_chosen_head(page: Page) -> None:
    data = json.loads(page.locator("#data").text_content() or "")
    page.locator("#head").select_option(label="block 2, head 1")
    (head,) = [own for own in data["heads"] if (own["block"], own["head"]) == (2, 1)]
    rows = page.locator("#pairs tbody tr")
    weights = [float(text) for text in rows.locator("td:nth-child(5)").all_inner_texts()]
    assert weights == pytest.approx([pair["weight"] for pair in head["pairs"]], rel=5e-3)
    elements = [data["classes"][pair["far"]]["element"] for pair in head["pairs"]]
    assert [text.split()[0] for text in rows.locator("td:nth-child(2)").all_inner_texts()] == elements
    page.locator("#head").select_option("")
    assert page.locator("#pairs").is_hidden()


def test_contributions_and_mean_make_the_prediction(page: Page) -> None:
    cells = page.locator("#classes tbody tr td.number:nth-last-child(2)").all_inner_texts()
    *parts, total = map(float, cells)
    assert sum(parts) == pytest.approx(total, abs=0.001 * len(parts))
    shown = page.locator("#prediction .answer strong").inner_text().split()[0]
    assert total == pytest.approx(float(shown), abs=0.51 * 10 ** -len(shown.partition(".")[2]))


@pytest.mark.parametrize("width", [400, 1200])
def test_nothing_is_cut_off(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.evaluate("document.querySelectorAll('details').forEach(element => (element.open = true))")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert HOSTILE in page.locator("header").inner_text()


def test_the_page_says_what_was_computed(browser: Browser, folder: Path) -> None:
    expected = explain(str(folder / HOSTILE), [folder / f"sitenet{seed}" for seed in (1, 2)], folder / "data")
    with browser.new_context() as context:
        tab = context.new_page()
        tab.goto((folder / "ensemble.html").as_uri())
        answer = tab.locator("#prediction .answer").inner_text()
        assert f"{expected.prediction:.{expected.decimals}f} eV" in answer
        assert f"spread {expected.spread:.{expected.decimals}f} eV" in answer
        assert expected.neighbours is not None
        ids = tab.locator("#neighbours tbody td:nth-child(2)").all_inner_texts()
        assert ids == [own.id for own in expected.neighbours]
        assert str(folder) not in tab.content()
        tab.goto((folder / "radial.html").as_uri())
        assert "--training results/data/NAME" in tab.locator("#training").inner_text()
        assert "spread" not in tab.locator("#prediction .answer").inner_text()


def test_the_page_is_called_as_the_structure_file(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "a.cif").write_text((folder / "two/a.cif").read_text())
    run(tmp_path, ".", "--model", str(folder / "radial1/best.pt"))
    assert [path.name for path in tmp_path.glob("*.html")] == ["a.cif.html"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("no.cif", "--model", "radial1/best.pt"), "no.cif: missing file: no such file"),
        (("two", "--model", "radial1/best.pt"), "two holds more than one crystal: explain takes one"),
        ((HOSTILE, "--model", "no.pt"), "there is no checkpoint no.pt"),
        ((HOSTILE, "--model", "radial1/best.pt", "--training", "no"), "cannot read no/manifest.json"),
        ((HOSTILE, "--model", "radial1/best.pt", "--out", "no/page.html"), "cannot write no/page.html"),
    ],
)
def test_what_cannot_be_explained_is_one_line(
    folder: Path,
    arguments: tuple[str, ...],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(folder)
    with pytest.raises(SystemExit) as ended:
        main(["explain", *arguments])
    assert ended.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"sitenet: {message}")

"""The result page of a real benchmark on the user's own files, in a real browser."""

import csv
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import yaml
from playwright.sync_api import Browser, Locator, Page, expect

from sitenet.data.table import CrystalTable, bundled_path
from sitenet.evaluation.tables.rounding import places
from tests.browser import chromium, needs_browser, watch
from tests.own_files import FORMATS
from tests.workflow.running import snakemake

pytestmark = needs_browser
N, NAME, TARGET, UNIT = 64, "own", "bulk_modulus", "GPa"
HOSTILE = "<img src=x onerror=alert(1)></script>"


def write_files(folder: Path) -> None:
    """CIF files of bundled crystals with made-up targets; one has an id that is HTML, one cannot be read."""
    crystals = list(CrystalTable.open(bundled_path("mp_dielectric_gap")).crystals(0, N))
    rows = [["file", "id", "target"]]
    for i, crystal in enumerate(crystals):
        (folder / f"crystal{i}.cif").write_text(FORMATS["a.cif"](crystal))
        rows.append(
            [f"crystal{i}.cif", HOSTILE if i == 0 else crystal.id, str(500.0 if i == 0 else 10.0 + 7 * (i % 9))]
        )
    (folder / "broken.cif").write_text("no crystal")
    rows.append(["broken.cif", "broken", "1"])
    with (folder / "targets.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a small benchmark has run."""
    folder = tmp_path_factory.mktemp("page")
    (folder / "files").mkdir()
    write_files(folder / "files")
    dataset = {"source": "files", "name": NAME, "path": str(folder / "files"), "target": TARGET, "unit": UNIT}
    network = {"kind": "sitenet_radial", "blocks": [1, 2], "width": 16, "hidden_width": 8, "heads": 2}
    config = {
        "name": NAME,
        "dataset": dataset | {"max_failed_share": 0.1},
        "splits": {"kind": "kfold", "n_folds": 2},
        "shards": 1,
        "resamples": 500,
        "analysis": {"cutoffs": [3, 3.5, 6]},
        "grid": [
            {"model": network, "features": {"radius": 4.0}, "training": {"max_epochs": 3}},
            {"model": {"kind": "dummy", "statistic": ["mean", "median"]}},
            {"model": {"kind": "random_forest", "n_trees": 10}},
        ],
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    snakemake("--configfile", folder / "config.yaml", directory=folder)
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture
def page(browser: Browser, finished: Path) -> Iterator[Page]:
    """The page at 1,400 pixels; nothing may go wrong in it, whatever a test does."""
    with browser.new_context(viewport={"width": 1400, "height": 900}, color_scheme="light") as context:
        tab = context.new_page()
        problems = watch(tab)
        show(tab, finished)
        yield tab
        assert problems == []


def show(tab: Page, finished: Path) -> None:
    tab.goto((finished / "results/tables" / NAME / "index.html").as_uri())
    tab.wait_for_selector("html[data-ready]")
    tab.wait_for_function("window.Plotly !== undefined")


def draw_all(tab: Page) -> None:
    """Draws every chart, as printing does."""
    tab.evaluate("charts.forEach((element) => { shown.add(element); draw(element); })")


def cells(tab: Page, heading: str) -> Locator:
    """Shown cells of a column of the leaderboard."""
    place = tab.evaluate(
        "name => [...document.querySelectorAll('#leaderboard_wrapper thead')[0].querySelectorAll('th')]"
        ".findIndex(th => th.textContent.trim() === name)",
        heading,
    )
    return tab.locator(f"#leaderboard tbody tr td:nth-child({place + 1})")


def column(tab: Page, heading: str) -> list[str]:
    """Their texts."""
    return [" ".join(cell.split()) for cell in cells(tab, heading).all_inner_texts()]


def table(finished: Path) -> pd.DataFrame:
    return pd.read_csv(finished / "results/tables" / NAME / "leaderboard.csv")


def shown_maes(rows: pd.DataFrame) -> list[str]:
    """MAEs with the decimals of the best one."""
    digits = max(0, places(*rows.loc[0, ["mae", "mae_low", "mae_high"]]))
    return [f"{mae:.{digits}f}" for mae in rows["mae"]]


def errors_of(finished: Path, kind: str) -> pd.DataFrame:
    """Errors of a baseline's test crystals, from its files."""
    leaderboard = table(finished)
    (trial,) = leaderboard.loc[leaderboard["model"] == kind, "trial"]
    paths = sorted((finished / "results/runs" / NAME / trial).glob("fold*/seed0/test_predictions.parquet"))
    frame = pd.concat([pd.read_parquet(path) for path in paths])
    return frame.assign(error=(frame["prediction"] - frame["target"]).abs())


def test_every_chart_is_valid_and_drawn(page: Page) -> None:
    draw_all(page)
    invalid = page.evaluate(
        "[...stored.keys()].map(key => { const { data, layout } = chartOf(key);"
        " return [key, Plotly.validate(data, themed(layout, false))]; }).filter(([, problems]) => problems)"
    )
    assert invalid == []
    drawn = page.evaluate("charts.filter(chart => chart.querySelector('svg.main-svg')).length")
    assert drawn == page.locator(".chart:not([hidden])").count() >= 9


def test_leaderboard_has_the_rows_of_the_table(page: Page, finished: Path) -> None:
    rows = table(finished)
    models = column(page, "model")
    assert [name.split(" best")[0].split(" tied")[0] for name in models] == rows["model"].tolist()
    assert [name.endswith("best") for name in models] == (rows["verdict"] == "best").tolist()
    assert [name.endswith("tied") for name in models] == (rows["verdict"] == "tied with the best").tolist()
    assert column(page, f"MAE ({UNIT})") == shown_maes(rows)
    assert rows["model"][0] in page.locator("#best .answer").inner_text()
    assert "eV" not in page.locator("main").inner_text().replace("sitenet", "")


def test_sorting_by_mouse_and_by_keyboard(page: Page, finished: Path) -> None:
    ascending = shown_maes(table(finished))
    heading = page.locator("#leaderboard_wrapper th", has_text=f"MAE ({UNIT})").first
    shown = cells(page, f"MAE ({UNIT})")
    heading.click()
    heading.click()
    expect(shown).to_have_text(ascending[::-1])
    order = heading.locator(".dt-column-order")
    order.focus()
    page.keyboard.press("Enter")  # a third press restores the first order
    expect(shown).to_have_text(ascending)


def test_attention_of_the_chosen_head(page: Page, finished: Path) -> None:
    cutoffs = pd.read_csv(finished / "results/tables" / NAME / "attention_cutoff.csv")
    assert cutoffs.groupby("trial").size().tolist() == [4, 4]
    chart = page.locator("[data-chart=attention-map]")
    words = []
    for label in ("sitenet_radial blocks=2, block 1, head 1", "sitenet_radial blocks=2, block 2, head 2"):
        page.locator("#attention select").select_option(label=label)
        draw_all(page)
        words.append(chart.get_attribute("aria-label"))
        assert words[-1] == f"Weights of attention by distance: {label}."
    drawn = page.evaluate(
        "document.querySelector('[data-chart=attention-cutoff]').data.filter(t => t.name).map(t => t.y)"
    )
    finite = cutoffs[cutoffs["cutoff"] < 100]
    assert drawn == [pytest.approx(own["mae"].tolist(), rel=1e-3) for _, own in finite.groupby("trial", sort=False)]


def test_filter_and_column_chooser(page: Page) -> None:
    page.locator("input[type=search]").first.fill("median")
    expect(cells(page, "model")).to_have_count(1)
    expect(cells(page, "model")).to_contain_text("dummy (median)")
    page.get_by_role("button", name="Columns").click()
    page.locator(".dt-button-collection").get_by_text(f"RMSE ({UNIT})").click()
    expect(page.locator("#leaderboard_wrapper th", has_text=f"RMSE ({UNIT})").first).to_be_visible()
    assert column(page, f"RMSE ({UNIT})")[0] != ""


def test_all_values_of_a_row_by_keyboard(page: Page, finished: Path) -> None:
    button = page.locator("#leaderboard .more").first
    button.focus()
    page.keyboard.press("Enter")
    values = page.locator("td.values").inner_text()
    assert "training + validation crystals" in values
    assert str(table(finished)["trial"][0]) in values
    assert button.get_attribute("aria-expanded") == "true"
    page.keyboard.press("Enter")
    expect(page.locator("td.values")).to_have_count(0)


def test_worst_crystals_of_the_chosen_model(page: Page, finished: Path) -> None:
    page.locator("#fails select").select_option(label="random_forest")
    assert page.locator("#predictions select").locator("option:checked").inner_text() == "random_forest"
    errors = errors_of(finished, "random_forest").nlargest(20, "error")
    rows = page.locator("#fails table.worst:visible tbody tr")
    assert rows.locator("td:nth-child(2)").all_inner_texts() == errors["id"].tolist()
    assert errors["id"].iloc[0] == HOSTILE
    files = rows.locator("td:nth-child(3)").all_inner_texts()
    assert files[0] == "crystal0.cif"
    assert len(set(files)) == 20
    assert rows.first.locator("td:nth-child(6)").inner_text() == f"{errors['error'].iloc[0]:.1f}"


def test_pointing_at_a_crystal_names_it(page: Page) -> None:
    chart = page.locator("[data-chart=parity]")
    chart.scroll_into_view_if_needed()
    worst = chart.locator(".scatterlayer .trace").nth(2).locator("path.point").first  # outside, at the edge
    worst.wait_for(state="attached")
    box = worst.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    label = chart.locator(".hoverlayer .hovertext")
    label.wait_for()
    text = label.text_content() or ""
    assert "crystal0.cif" in text
    assert HOSTILE in text
    assert "reference 500" in text


@pytest.mark.parametrize("width", [400, 1400])
def test_nothing_is_cut_off(page: Page, finished: Path, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    show(page, finished)
    page.evaluate("document.querySelectorAll('details').forEach(element => (element.open = true))")
    draw_all(page)
    page.wait_for_timeout(200)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    beyond = page.evaluate(
        "[...document.querySelectorAll('main *')].filter(element => !element.closest('.dt-scroll, .scroll, pre, svg'))"
        ".filter(element => element.getBoundingClientRect().right > innerWidth + 1).map(element => element.outerHTML)"
    )
    assert beyond == []


def test_theme_follows_the_system_and_the_button(page: Page) -> None:
    def colours() -> list[str]:
        return [
            page.evaluate("getComputedStyle(document.body).backgroundColor"),
            heading.evaluate("element => getComputedStyle(element).fill"),
        ]

    heading = page.locator("[data-chart=cost] .xtitle")
    page.locator("[data-chart=cost]").scroll_into_view_if_needed()
    heading.wait_for()
    light = colours()
    page.emulate_media(color_scheme="dark")
    expect(heading).not_to_have_css("fill", light[1])
    assert colours()[0] != light[0]
    page.locator("#theme").focus()
    page.keyboard.press("Enter")
    expect(heading).to_have_css("fill", light[1])
    assert colours() == light


def test_printing_shows_every_chart_and_all_that_is_folded(page: Page) -> None:
    page.emulate_media(color_scheme="dark")
    content = page.pdf()
    assert content.startswith(b"%PDF")
    assert page.evaluate("charts.filter(c => !c.hidden).every(c => c.querySelector('svg.main-svg'))")
    assert page.locator("details:not([open])").count() == 0


def test_failures_sources_and_configuration_are_there(page: Page, finished: Path) -> None:
    page.evaluate("document.querySelectorAll('details').forEach(element => (element.open = true))")
    text = page.locator("main").inner_text()
    assert "1 crystal that could not be used" in text
    assert "broken" in text
    assert "torch" in text
    assert "max_epochs: 3" in page.locator("pre").inner_text()
    assert f"unit: {UNIT}" in page.locator("pre").inner_text()
    assert str(finished) not in page.content()  # where the files lie is nobody's business


def test_report_begins_with_the_leaderboard(page: Page, finished: Path) -> None:
    snakemake("--report", finished / "report.html", "--configfile", finished / "config.yaml", directory=finished)
    text = (finished / "report.html").read_text()
    assert [model for model in table(finished)["model"] if model not in text] == []
    assert "results/tables/own/index.html" in text
    assert "attention cutoff" in text
    assert "'trials': {" not in text
    wrong = finished / "other.yaml"
    wrong.write_text((finished / "config.yaml").read_text().replace(f"name: {NAME}\n", "name: other\n"))
    run = snakemake("--report", finished / "r.html", "--configfile", wrong, directory=finished, check=False)
    assert run.returncode == 1
    (line,) = [line for line in run.stderr.splitlines() if "leaderboard" in line]
    assert "there is no leaderboard of 'other'" in line
    assert f"finished here: {NAME}" in line
    assert "Traceback" not in run.stderr

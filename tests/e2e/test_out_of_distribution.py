"""Random folds, then the same models with a cluster held out: what the second benchmark says of the difference."""

import gzip
from pathlib import Path

import pandas as pd
import pytest
import yaml

from sitenet.data.manifest import Splits
from tests.browser import chromium, needs_browser, watch
from tests.workflow.running import job_counts, snakemake

pytestmark = pytest.mark.slow

CONFIG = {
    "name": "random",
    "dataset": {"source": "bundled", "name": "mp_dielectric_gap", "max_crystals": 120},
    "splits": {"kind": "kfold", "n_folds": 2},
    "resamples": 1000,
    "grid": [{"model": {"kind": "random_forest", "n_trees": 20}}, {"model": {"kind": "dummy"}}],
}
HELD_OUT = ("--config", "name=clusters", "splits={kind: cluster}", "compare_to=random")
MADE_AGAIN = {"all": 1, "figures": 1, "leaderboard": 1, "page": 1, "total": 4}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which both benchmarks have run."""
    folder = tmp_path_factory.mktemp("benchmarks")
    (folder / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    snakemake("--configfile", folder / "config.yaml", directory=folder)
    snakemake("--configfile", folder / "config.yaml", *HELD_OUT, directory=folder)
    return folder


def predictions(folder: Path, benchmark: str) -> pd.DataFrame:
    """Absolute errors by model and id, with the fold."""
    frame = pd.read_csv(folder / "results" / "tables" / benchmark / "predictions.csv.gz")
    return frame.assign(error=frame["error"].abs()).set_index(["model", "id"])


def test_the_table_is_that_of_the_predictions(finished: Path) -> None:
    own, other = predictions(finished, "clusters"), predictions(finished, "random")
    both = own.join(other["error"].rename("other"))
    expected = both.groupby(["model", "fold"])[["error", "other"]].mean().groupby("model").mean()
    table = pd.read_csv(finished / "results/tables/clusters/shift.csv").set_index("model")
    leaderboard = pd.read_csv(finished / "results/tables/clusters/leaderboard.csv").set_index("model")
    assert table.index.tolist() == leaderboard.index.tolist() == ["random_forest", "dummy (mean)"]
    assert table["mae"].to_dict() == pytest.approx(expected["error"].to_dict())
    assert table["mae"].to_dict() == pytest.approx(leaderboard["mae"].to_dict())
    assert table["other_mae"].to_dict() == pytest.approx(expected["other"].to_dict())
    assert (table["difference_low"] < table["difference"]).all()
    assert (table["difference"] < table["difference_high"]).all()
    assert (table["n_test"] == 120).all()


def test_notes_name_the_clusters(finished: Path) -> None:
    record = Splits.read(finished / "results/data/clusters/splits.json")
    notes = (finished / "results/tables/clusters/leaderboard.md").read_text()
    for fold in (0, 1):
        assert f"- Fold {fold} holds out cluster {fold} (" in notes
    assert record.folds[0].test >= record.folds[1].test
    assert "Splits: cluster here, kfold in random." in (finished / "results/tables/clusters/shift.md").read_text()


def test_nothing_is_left_to_do_until_the_other_benchmark_changes(finished: Path) -> None:
    again = ("-n", "--configfile", finished / "config.yaml", *HELD_OUT)
    assert job_counts(snakemake(*again, directory=finished)) == {}
    path = finished / "results/tables/random/predictions.csv.gz"
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()), compresslevel=1))
    assert job_counts(snakemake(*again, directory=finished)) == MADE_AGAIN


def test_a_benchmark_of_other_crystals_is_refused(finished: Path) -> None:
    config = finished / "fewer.yaml"
    config.write_text(yaml.safe_dump(CONFIG | {"dataset": CONFIG["dataset"] | {"max_crystals": 60}}))  # type: ignore[operator]
    run = snakemake("-n", "--configfile", config, *HELD_OUT, directory=finished, check=False)
    assert run.returncode != 0
    assert "which has another data set: dataset.max_crystals 120 in place of 60" in run.stderr
    assert "Traceback" not in run.stderr


def test_figure_is_drawn_where_benchmarks_are_compared(finished: Path) -> None:
    drawn = sorted(path.parent.name for path in finished.glob("results/figures/*/shift.svg"))
    assert drawn == ["clusters"]


@needs_browser
def test_page_draws_both_errors_of_models_and_of_clusters(finished: Path) -> None:
    table = pd.read_csv(finished / "results/tables/clusters/shift.csv")
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 400, "height": 900})
        problems = watch(page)
        page.goto((finished / "results/tables/clusters/index.html").as_uri())
        page.wait_for_function("window.Plotly !== undefined")
        page.locator("#shift select").select_option(label="dummy (mean)")
        page.evaluate("charts.forEach((element) => { shown.add(element); draw(element); })")
        drawn = page.evaluate("document.querySelector('[data-chart=shift]').data.slice(1).map(trace => trace.x)")
        assert drawn == [pytest.approx(table[name].tolist(), rel=1e-4) for name in ("other_mae", "mae")]
        folds = page.locator("[data-chart=shift-folds]").get_attribute("aria-label") or ""
        rows = page.locator("#shift div[data-model]:visible tbody tr")
        assert rows.count() == 2
        for row in rows.all_inner_texts():
            assert row.split("\t")[0] in folds
        assert page.evaluate("document.documentElement.scrollWidth") <= 400
        assert problems == []

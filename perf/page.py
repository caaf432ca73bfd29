"""Size of the result page, and time and memory of making it, for 10^5 test crystals and 500 runs; time to open it.

    python perf/page.py ../shared/data --out perf/results/page.json

The folder has `matbench_mp_gap.parquet` and official submissions, `matbench_results/<name>/results.json.gz`. They are
repeated until there are 100 trials on five folds, 20 of them as networks with a history. Where the file withholds
targets, the mean of the submissions' predictions stands for them, which changes no time. The browser is Chromium.
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
from pymatgen.core import Lattice

from sitenet.config.grid import expand_grid
from sitenet.data.crystal import Crystal
from sitenet.data.facts import write_facts
from sitenet.data.formula import standard_formula
from sitenet.data.manifest import Counts, FoldCounts, Manifest, Splits
from sitenet.data.table import write_crystals
from sitenet.environment import hardware
from sitenet.evaluation.page.crystals import TestCrystals
from sitenet.evaluation.page.write import write_page
from sitenet.evaluation.results import read_results
from sitenet.evaluation.statistics.metrics import compute_metrics
from sitenet.failures import write_failures
from sitenet.history import HistoryRow, write_history
from sitenet.models.predictions.files import Wanted, read_predictions
from sitenet.records import Cost, RunKey, RunResult

N_TRIALS, N_NETWORKS, N_EPOCHS, FOLDS = 100, 20, 300, range(5)
DESCRIBED = 2000  # crystals whose description is timed
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--browser", default=shutil.which("chromium"))
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        described = describe(arguments.data / "matbench_mp_gap.parquet", root)
        records, config = write_runs(arguments.data, root)
        results, reading = timed(
            lambda: read_results(config, records, root / "manifest.json", root / "splits.json", [])
        )
        parts = {fold: root / f"train{fold}.parquet" for fold in FOLDS}
        crystals = TestCrystals.read(root / "facts.parquet", root / "targets.parquet", parts)
        page = root / "index.html"
        _, making = timed(lambda: write_page(results, crystals, config, page))
        result = {
            "machine": hardware(),
            "load_before": round(os.getloadavg()[0], 2),
            "test_crystals": len(crystals.facts),
            "runs": len(records),
            "models": len(results.standings.rows),
            "describe_ms_per_crystal": described,
            "read_results": reading,
            "make_page": making,
            "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
            "page_mb": round(page.stat().st_size / 1e6, 2),
            "open": opened(page, arguments.browser),
        }
    print(text := json.dumps(result, indent=2))
    arguments.out.write_text(text + "\n", encoding="utf-8")


def timed(work: Callable[[], Any]) -> tuple[Any, dict[str, float]]:
    """What `work` returns, with its seconds on the clock and of the processor."""
    start, used = time.monotonic(), time.process_time()
    value = work()
    return value, {
        "seconds": round(time.monotonic() - start, 1),
        "processor_seconds": round(time.process_time() - used, 1),
    }


def describe(source: Path, root: Path) -> float:
    """Times the facts of some crystals, in one process; then writes those of all, the others without symmetry."""
    columns = ["mbid", "lattice", "atomic_numbers", "frac_e6"]
    table = pq.read_table(source, columns=columns).to_pandas()
    some = [
        Crystal(
            row.mbid,
            Lattice.from_parameters(*row.lattice).matrix,
            row.atomic_numbers,
            row.frac_e6.reshape(-1, 3) / 1e6,
        )
        for row in table.sample(DESCRIBED, random_state=0).itertuples()
    ]
    write_crystals(root / "some.parquet", some)
    _, spent = timed(lambda: write_facts(root / "some.parquet", root / "facts.parquet", 1))
    systems = pd.read_parquet(root / "facts.parquet")["crystal_system"]
    facts = pd.DataFrame({"id": table["mbid"], "n_sites": table["atomic_numbers"].map(len)})
    facts["formula"] = [standard_formula(numbers.tolist()) for numbers in table["atomic_numbers"]]
    facts["crystal_system"] = systems.sample(len(facts), replace=True, random_state=0).to_numpy()
    facts.to_parquet(root / "facts.parquet", index=False)
    return round(1000 * spent["processor_seconds"] / DESCRIBED, 2)


def write_runs(data: Path, root: Path) -> tuple[list[Path], dict[str, Any]]:
    """The files that `read_results` reads."""
    table = pd.read_parquet(data / "matbench_mp_gap.parquet", columns=["mbid", "gap_pbe", "fold"])
    paths = sorted((data / "matbench_results").glob("*/results.json.gz"))
    submissions = [predictions_of(path, table) for path in paths]
    target = table["gap_pbe"].fillna(pd.concat(submissions, axis=1).mean(axis=1)).clip(0)
    frame = pd.DataFrame({"id": table["mbid"], "target": target, "group": table["mbid"]})
    frame.to_parquet(root / "targets.parquet", index=False)
    for fold in FOLDS:
        frame.loc[table["fold"] != fold, ["id"]].to_parquet(root / f"train{fold}.parquet", index=False)
    write_descriptions(root, frame, table["fold"])
    trials = {id_: trial.settings for id_, trial in expand_grid(grid(paths)).items()}
    records = []
    for number, (id_, settings) in enumerate(trials.items()):
        for fold in FOLDS:
            rows = (table["fold"] == fold).to_numpy()
            own = frame.loc[rows, ["id", "target"]].assign(prediction=submissions[number % len(paths)][rows])
            records.append(write_run(root / f"{id_}-{fold}", id_, fold, settings, own))
    dataset = {"source": "matbench", "name": "matbench_mp_gap"}
    config = {
        "name": "large",
        "dataset": dataset,
        "trials": trials,
        "folds": list(FOLDS),
        "seeds": [0],
        "resamples": 10_000,
    }
    return records, config


def predictions_of(path: Path, table: pd.DataFrame) -> pd.Series:
    """Predictions of a submission, in the order of the table."""
    folds = [
        read_predictions(path, Wanted("matbench_mp_gap", fold, 0, table.loc[table["fold"] == fold, "mbid"].tolist()))
        for fold in FOLDS
    ]
    return pd.concat(folds).set_index("id")["prediction"].reindex(table["mbid"]).reset_index(drop=True)


def grid(paths: list[Path]) -> list[dict[str, Any]]:
    """Networks first, then copies of the submissions under names of their own."""
    rates = [1e-4 * (number + 1) for number in range(N_NETWORKS)]
    names = [f"{paths[number % len(paths)].parent.name}-{number}" for number in range(N_NETWORKS, N_TRIALS)]
    return [
        {"model": {"kind": "sitenet"}, "training": {"learning_rate": rates}},
        {"model": {"kind": "published", "submission": names}},
    ]


def write_run(folder: Path, id_: str, fold: int, settings: dict[str, Any], predictions: pd.DataFrame) -> Path:
    folder.mkdir()
    predictions.to_parquet(folder / "test_predictions.parquet", index=False)
    values = predictions[["target", "prediction"]].to_numpy().T
    result = RunResult(
        key=RunKey(benchmark="large", trial=id_, fold=fold, seed=0),
        kind=settings["model"]["kind"],
        settings=settings,
        target="gap_pbe",
        unit="eV",
        n_train=84_890,
        n_train_available=84_890,
        n_validation=0,
        validation_error=compute_metrics(*values).mae,
        n_parameters=None,
        epochs=N_EPOCHS,
        cost=Cost(seconds=3600.0, peak_memory_mb=1000.0),
        versions={},
        hardware={},
        test=compute_metrics(*values),
    )
    if settings["model"]["kind"] != "published":
        write_history(folder, [epoch(number) for number in range(1, N_EPOCHS + 1)])
    result.write(folder / "result.json", files=["test_predictions.parquet"])
    return folder / "result.json"


def epoch(number: int) -> HistoryRow:
    return HistoryRow(
        epoch=number,
        seconds=float(number),
        learning_rate=1e-3,
        train_loss=1.0 / number,
        train_error=1.0 / number,
        validation_error=1.5 / number,
        validation_error_ema=None,
        crystals_per_second=100.0,
    )


def write_descriptions(root: Path, frame: pd.DataFrame, folds: pd.Series) -> None:
    """Manifest and folds."""
    n, sizes = len(frame), folds.value_counts()
    write_failures(root / "failures.csv", [])
    counts = Counts(rows=n, kept=n, failed=0, left_out=0, unlabelled=0)
    manifest = Manifest(
        name="matbench_mp_gap",
        source="matbench",
        target="gap_pbe",
        unit="eV",
        non_negative=True,
        counts=counts,
        filters={},
        failures={},
        version="",
        url="",
        sha256="",
        licence="",
        citation="",
        query="",
        structures_sha256="",
    )
    manifest.write(root / "manifest.json", files=["failures.csv", "targets.parquet"])
    parts = [
        FoldCounts(train=n - size, validation=0, test=size, test_unlabelled=0, full_train=n - size, full_test=size)
        for size in sizes.sort_index()
    ]
    Splits(kind="official", seed=0, folds=tuple(parts), sha256="").write(root / "splits.json")


def opened(page: Path, browser: str) -> dict[str, float]:
    """Median seconds until the text is there, until the table can be sorted, and until the first chart is drawn."""
    from playwright.sync_api import sync_playwright

    times: dict[str, list[float]] = {"text": [], "table": [], "chart": []}
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=FLAGS)
        for _ in range(5):
            tab = chromium.new_page(viewport={"width": 1400, "height": 900})
            start = time.monotonic()
            tab.goto(page.as_uri(), wait_until="commit")
            for name, selector in {"text": "#best .answer", "table": "html[data-ready]", "chart": ".chart svg"}.items():
                if name == "chart":  # drawn when it comes into view
                    tab.locator(".chart").first.scroll_into_view_if_needed()
                tab.wait_for_selector(selector)
                times[name].append(time.monotonic() - start)
            tab.close()
        chromium.close()
    return {name: round(statistics.median(values), 2) for name, values in times.items()}


if __name__ == "__main__":
    main()

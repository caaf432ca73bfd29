"""The cost table multiplies measured rates and admits what was not measured."""

from pathlib import Path

import pytest
import yaml

from sitenet.config.benchmark import Benchmark
from sitenet.errors import UserError
from sitenet.records import Cost
from tests.unit.benchmark_runs import SITENET, run_result
from tools.grid_costs import rows

ROOT = Path(__file__).parents[2]


@pytest.fixture
def benchmark() -> Benchmark:
    return Benchmark(yaml.safe_load((ROOT / "configs" / "paper.yaml").read_text()))


def cells(benchmark: Benchmark, results: Path, n_crystals: int = 106_113) -> dict[tuple[str, str, str], list[str]]:
    """The figures of each line, by step, supercell and crystals a run."""
    table = [[cell.strip() for cell in row.split("|")[1:-1]] for row in rows(benchmark, n_crystals, results)]
    return {(step, sites, crystals): figures for step, sites, crystals, *figures in table}


def test_a_holdout_trains_on_what_it_does_not_test(tmp_path: Path) -> None:
    entry = {"model": {"kind": "sitenet"}}
    dataset = {"source": "bundled", "name": "mp_dielectric_gap"}
    splits = {"kind": "holdout", "test_share": 0.25, "validation_share": 0.1}
    one = Benchmark({"dataset": dataset, "splits": splits, "grid": [entry]})
    assert ("train", "up to 100 sites", "713") in cells(one, tmp_path, 1056)  # of 1,056, 264 are tested and 79 validate
    files = Benchmark({"dataset": dataset, "splits": {"kind": "ids", "path": "mine.json"}, "grid": [entry]})
    with pytest.raises(UserError, match="the number of test crystals is not known beforehand"):
        cells(files, tmp_path, 1056)


def write_run(
    results: Path, benchmark: Benchmark, max_sites: int, device: str, seconds: float, threads: int = 1
) -> None:
    """A finished run of 100 crystals and 2 epochs for each network with such supercells."""
    for trial in benchmark.networks.values():
        if trial.features.max_sites == max_sites:
            folder = results / "runs" / "rates" / trial.id / "fold0" / f"seed{len(device)}"
            folder.mkdir(parents=True)
            measured = {
                "settings": trial.settings,
                "n_train": 100,
                "epochs": 2,
                "cost": Cost(seconds=seconds, peak_memory_mb=1.0),
                "hardware": {"device": device, "threads": threads},
            }
            run_result(SITENET[0], fold=0).model_copy(update=measured).write(folder / "result.json")


def test_without_measurements(benchmark: Benchmark, tmp_path: Path) -> None:
    table = cells(benchmark, tmp_path)
    assert len(table) == 3 + 9 + 1
    assert table["train", "up to 500 sites", "80,646"] == ["2", *["not measured"] * 4]
    assert table["sum", "", ""][0] == "210"  # 3 times 64 shards and 18 trainings


def test_rates_are_multiplied(benchmark: Benchmark, tmp_path: Path) -> None:
    """0.01 s a crystal and an epoch on each of two cores: 100 epochs of 1,000 crystals take 1,000 s."""
    write_run(tmp_path, benchmark, 50, "cpu", seconds=2.0, threads=2)
    write_run(tmp_path, benchmark, 50, "NVIDIA H100", seconds=0.2)
    table = cells(benchmark, tmp_path)
    assert table["train", "up to 50 sites", "1,000"] == ["2", "1,000", "1.1", "100", "0.1"]
    assert table["train", "up to 100 sites", "1,000"] == ["2", *["not measured"] * 4]
    assert table["sum", "", ""] == ["210", "", "not measured", "", "not measured"]


def test_a_run_lasts_no_longer_than_its_limit(tmp_path: Path) -> None:
    config = yaml.safe_load((ROOT / "configs" / "paper.yaml").read_text())
    config["grid"][0]["training"]["max_minutes"] = 10
    limited = Benchmark(config)
    write_run(tmp_path, limited, 50, "cpu", seconds=2.0, threads=2)
    line = cells(limited, tmp_path)["train", "up to 50 sites", "1,000"]
    assert line == ["2", "600", "0.7", "not measured", "not measured"]


def test_sum_is_over_what_was_measured_in_full(benchmark: Benchmark, tmp_path: Path) -> None:
    for max_sites in (50, 100, 500):
        write_run(tmp_path, benchmark, max_sites, "NVIDIA H100", seconds=0.2)
    hours = 3 * 2 * (1_000 + 10_000 + 80_646) * 100 * 0.001 / 3600
    assert cells(benchmark, tmp_path)["sum", "", ""] == ["210", "", "not measured", "", f"{hours:,.1f}"]


def test_rates_configuration_measures_every_network_of_the_paper(benchmark: Benchmark) -> None:
    rates = Benchmark(yaml.safe_load((ROOT / "perf" / "paper_rates.yaml").read_text()))
    assert {t.features.max_sites for t in rates.networks.values()} == {50, 100, 500}
    assert set(rates.feature_sets) == set(benchmark.feature_sets)
    wanted = {(t.feature_id, t.settings["model"]["cutoff"]) for t in benchmark.networks.values()}
    assert {(t.feature_id, t.settings["model"]["cutoff"]) for t in rates.networks.values()} == wanted

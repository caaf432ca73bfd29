"""What Snakemake plans, by dry runs of the real workflow."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from sitenet.config.benchmark import Benchmark
from sitenet.evaluation.ablation import compare_trials
from sitenet.evaluation.runs import PlannedRuns
from tests.workflow.running import ROOT, job_counts, snakemake
from tools.rule_graph import rule_graph


def test_default_benchmark(tmp_path: Path) -> None:
    """Two networks on five folds, two baselines, everything scored once."""
    assert job_counts(snakemake("-n", directory=tmp_path)) == {
        "all": 1,
        "load_data": 1,
        "describe_crystals": 1,
        "split": 1,
        "featurize": 4,
        "collect_features": 1,
        "composition_features": 1,
        "train": 10,
        "baseline": 10,
        "score": 20,
        "select_trials": 5,
        "leaderboard": 1,
        "figures": 1,
        "attention": 10,
        "attention_tables": 1,
        "page": 1,
        "total": 69,
    }


# One for each kind of data and of rules; the others are planned by the slow tests.
TYPICAL = {
    "descriptors",
    "examples",
    "fine_tuning",
    "jarvis_optb88vdw_bandgap",
    "matbench_mp_gap_cpu",
    "materials_project",
    "out_of_distribution",
    "own_files",
    "quick",
    "search",
    "several_targets",
}


@pytest.mark.parametrize(
    "config",
    [
        pytest.param(path, id=path.stem, marks=() if path.stem in TYPICAL else pytest.mark.slow)
        for path in sorted((ROOT / "configs").glob("*.yaml"))
    ],
)
def test_every_configuration_can_be_planned(config: Path, tmp_path: Path) -> None:
    (tmp_path / "my_crystals").mkdir()  # what configs/own_files.yaml reads
    (tmp_path / "examples").symlink_to(ROOT / "examples")  # what configs/examples.yaml starts
    counts = job_counts(snakemake("-n", "--configfile", config, directory=tmp_path))
    assert counts["leaderboard"] == 1
    if "search_stage" not in counts:  # a search decides later which trials are scored
        made = ("train", "baseline", "predictions", "external")
        assert counts["score"] == sum(counts.get(rule, 0) for rule in made)


def test_a_search_is_planned_by_stages_whose_trials_are_not_known_yet(tmp_path: Path) -> None:
    """The grid's trials beside it are planned at once; `select_trials` waits for the last stage."""
    run = snakemake("-n", "--verbose", "--configfile", ROOT / "configs" / "search.yaml", directory=tmp_path)
    counts = job_counts(run)
    assert (counts["search_stage"], counts["train"]) == (6, 8)
    assert "train_part" not in counts
    assert "results/figures/search/search_progress.svg" in run.stdout
    inputs = re.findall(r"^(?:local)?checkpoint search_stage:\n    input: (.*)$", run.stdout, flags=re.MULTILINE)
    assert {path.rsplit("/", 1)[-1] for paths in inputs for path in paths.split(", ")} == {
        *(f"stage{number}.json" for number in range(5)),
        "<TBD>",
    }


@pytest.mark.parametrize(
    ("name", "trainings", "figures"),
    [
        ("ablation", 11 * 3, {"ablation"}),
        ("regularisation", 8, {"ablation"}),
        ("training_size", 3 * 3, {"ablation", "training_size"}),
    ],
)
def test_what_the_grid_compares_is_planned(name: str, trainings: int, figures: set[str], tmp_path: Path) -> None:
    run = snakemake("-n", "--verbose", "--configfile", ROOT / "configs" / f"{name}.yaml", directory=tmp_path)
    counts = job_counts(run)
    assert (counts["train"], counts["score"]) == (trainings, trainings)
    planned = set(re.findall(rf"results/figures/{name}/(\w+)\.svg", run.stdout))
    assert planned == {"leaderboard", "parity", "epoch_curves"} | figures
    assert (f"results/tables/{name}/ablation.csv" in run.stdout) == ("ablation" in figures)


def test_every_trial_of_the_ablation_changes_one_setting() -> None:
    benchmark = Benchmark(yaml.safe_load((ROOT / "configs" / "ablation.yaml").read_text()))
    trials = PlannedRuns(
        {id_: trial.settings for id_, trial in benchmark.trials.items()}, benchmark.folds, benchmark.settings.seeds
    )
    _, *changes = compare_trials([], trials)
    # A supercell in place of the reference's radius has a size too.
    assert {len(change.settings.keys() - {"features.max_sites"}) for change in changes} == {1}
    assert {"features.radius", "model.blocks", "training.precision"} <= {name for c in changes for name in c.settings}


def test_scoring_alone_reads_test_targets_and_selection_reads_no_score(tmp_path: Path) -> None:
    run = snakemake("-n", "--verbose", directory=tmp_path)
    names: dict[str, set[str]] = {}
    for rule, paths in re.findall(r"^(?:local)?rule (\w+):\n    input: (.*)$", run.stdout, flags=re.MULTILINE):
        names.setdefault(rule, set()).update(path.rsplit("/", 1)[-1] for path in paths.split(", "))
    assert {rule for rule in names if "test_targets.parquet" in names[rule]} == {"score"}
    assert names["select_trials"] == {"run.json"}
    assert names["train"] == {"manifest.json", "splits.json", "train.parquet", "test_inputs.parquet"}


@pytest.mark.parametrize(
    ("splits", "read"),
    [
        ("{kind: kfold}", {"targets.parquet", "manifest.json"}),
        ("{kind: chemical_system}", {"targets.parquet", "manifest.json", "structures.parquet"}),
        ("{kind: element}", {"targets.parquet", "manifest.json", "structures.parquet"}),
        (
            "{kind: cluster, features: structure}",
            {"targets.parquet", "manifest.json", "structures.parquet", "structure.parquet", "structure.json"},
        ),
    ],
)
def test_a_split_reads_what_its_kind_needs(splits: str, read: set[str], tmp_path: Path) -> None:
    run = snakemake("-n", "--verbose", "--config", f"splits={splits}", directory=tmp_path)
    (paths,) = re.findall(r"^rule split:\n    input: (.*)$", run.stdout, flags=re.MULTILINE)
    assert {path.rsplit("/", 1)[-1] for path in paths.split(", ")} == read
    assert job_counts(run)["train"] == 10


def test_the_folds_are_those_of_the_listed_elements(tmp_path: Path) -> None:
    splits = "splits={kind: element, elements: [[O], [F, Cl]]}"
    config = tmp_path / "config.yaml"
    values = yaml.safe_load((ROOT / "config.yaml").read_text())
    elements = {"kind": "element", "elements": [["O"], ["F", "Cl"]]}
    config.write_text(yaml.safe_dump(values | {"splits": elements, "folds": None}))
    assert job_counts(snakemake("-n", "--configfile", config, directory=tmp_path))["train"] == 4
    clash = snakemake("-n", "--config", splits, directory=tmp_path, check=False)  # config.yaml has five folds
    assert "'splits.n_folds' has the value 5: 'elements' lists 2 folds; leave n_folds out" in clash.stderr


def test_more_seeds_are_more_runs(tmp_path: Path) -> None:
    counts = job_counts(snakemake("-n", "--config", "seeds=[0,1,2]", "folds=[1]", directory=tmp_path))
    assert counts["train"] == 6
    assert counts["select_trials"] == 1


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("folds=[9]", "configuration key 'folds' has the value 9: the splits have folds 0 to 4"),
        ("fold=[1]", "configuration key 'fold' is unknown; did you mean 'folds'?"),
        ("grid=[]", "configuration key 'grid' is empty"),
        (
            "compare_to=before",
            "'compare_to' has the value 'before': there is no results/tables/before/config.yaml",
        ),
    ],
)
def test_configuration_error_is_one_line(override: str, expected: str, tmp_path: Path) -> None:
    run = snakemake("-n", "--config", override, directory=tmp_path, check=False)
    assert run.returncode != 0
    lines = [line for line in run.stderr.splitlines() if expected in line]
    assert len(lines) == 1
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize(("learnt", "warns"), [("[[]]", True), ("all", False)])
def test_a_plan_names_targets_that_no_network_learns(learnt: str, warns: bool, tmp_path: Path) -> None:
    data = "dataset={source: bundled, name: mp_dielectric_index, other_targets: [band_gap]}"
    grid = f"grid=[{{model: {{kind: sitenet_radial}}, training: {{other_targets: {learnt}}}}}]"
    run = snakemake("-n", "--config", data, grid, directory=tmp_path)
    assert ("no network learns band_gap of dataset.other_targets" in run.stderr) == warns


def test_an_environment_in_a_folder_with_a_blank_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "my venv").symlink_to(sys.prefix)
    python = tmp_path / "my venv" / "bin" / "python"
    command = [python, "-m", "snakemake", "-n", "-s", ROOT / "Snakefile", "-d", tmp_path, "--cores", "1"]
    run = subprocess.run([*map(str, command)], capture_output=True, text=True)
    assert run.returncode != 0
    assert f"Snakemake cannot start jobs with {python}" in run.stderr
    assert "Traceback" not in run.stderr


def test_planning_imports_no_heavy_package(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "snakemake", "-n", "-s", ROOT / "Snakefile", "--cores", "1"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    imported = set(re.findall(r"\|\s+(\w+)$", run.stderr, flags=re.MULTILINE))
    assert "snakemake" in imported
    assert not imported & {"torch", "pymatgen", "matminer", "sklearn", "wandb", "optuna"}


def test_the_page_of_the_design_shows_the_current_rule_graph(tmp_path: Path) -> None:
    assert rule_graph(tmp_path) in (ROOT / "docs" / "design.md").read_text()

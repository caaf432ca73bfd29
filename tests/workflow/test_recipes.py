"""The recipes of CONTRIBUTING.md, executed on a copy of the repository."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from tests.workflow.running import ROOT

BLOCK = re.compile(r"^```(\w+) (\S+)\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)
FOLDERS = [
    "sitenet",
    "snakemake_logger_plugin_sitenet",
    "rules",
    "workflow_scripts",
    "captions",
    "envs",
    "profiles",
    "configs",
    "docs",
    "tests",
    "tools",
]
FILES = ["Snakefile", "config.yaml", "pyproject.toml", "mkdocs.yml", "README.md", "CHANGELOG.md", "CONTRIBUTING.md"]
CONFIG = """
name: recipes
dataset: {source: density, max_crystals: 60}
splits: {kind: kfold, n_folds: 2}
folds: [0]
shards: 1
resamples: 100
grid:
  - model: {kind: element_mean, width: 8}
    features: {radius: 3.0}
    training: {max_epochs: 2}
  - model: {kind: neighbours, neighbours: 3}
"""


def apply(recipes: str, folder: Path) -> list[str]:
    """Carries out every block; returns the files that were written."""
    written = []
    for language, name, text in BLOCK.findall(recipes):
        path = folder / name
        if language == "diff":
            old = re.search(r"^-(.*)$", text, flags=re.MULTILINE)
            assert old is not None, f"the change of {name} replaces no line"
            lines = path.read_text("utf-8").split("\n")
            assert lines.count(old[1]) == 1, f"CONTRIBUTING.md changes a line that {name} does not have once: {old[1]}"
            new = re.findall(r"^\+(.*)$", text, flags=re.MULTILINE)
            place = lines.index(old[1])
            path.write_text("\n".join([*lines[:place], *new, *lines[place + 1 :]]), "utf-8")
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
        written.append(name)
    return written


def run(folder: Path, *command: str, **environment: str) -> str:
    """What a command prints in the copy, whose package comes before the installed one."""
    given = os.environ | {"PYTHONPATH": str(folder), "WANDB_MODE": "disabled"} | environment
    done = subprocess.run([sys.executable, "-m", *command], cwd=folder, env=given, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository with all recipes carried out, and one benchmark run in it."""
    folder = tmp_path_factory.mktemp("recipes") / "sitenet"
    folder.mkdir()
    for name in FOLDERS:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in (
        "Snakefile",
        "config.yaml",
        "pyproject.toml",
        "README.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "mkdocs.yml",
    ):
        shutil.copy(ROOT / name, folder / name)
    apply((ROOT / "CONTRIBUTING.md").read_text("utf-8"), folder)
    (folder / "recipes.yaml").write_text(CONFIG)
    run(folder, "snakemake", "all", "extremes", "--cores", "2", "--configfile", "recipes.yaml")
    return folder


@pytest.fixture(scope="module")
def leaderboard(copy: Path) -> pd.DataFrame:
    return pd.read_csv(copy / "results/tables/recipes/leaderboard.csv").set_index("model")


def test_model_kinds_have_rows(leaderboard: pd.DataFrame) -> None:
    assert set(leaderboard.index) == {"element_mean", "neighbours"}
    assert leaderboard.loc["element_mean", "parameters_max"] == 119 * 8 + 9


def test_data_source_gives_its_targets(copy: Path, leaderboard: pd.DataFrame) -> None:
    assert (leaderboard["unit"] == "g/cm^3").all()
    targets = pd.read_parquet(copy / "results/data/recipes/targets.parquet")["target"]
    assert len(targets) == 60
    assert targets.between(0.5, 20).all()


def test_metric_and_column_are_in_csv_and_json(copy: Path, leaderboard: pd.DataFrame) -> None:
    runs, text = copy / "results/runs/recipes", (copy / "results/tables/recipes/leaderboard.json").read_text()
    trial = str(leaderboard.loc["neighbours", "trial"])
    frame = pd.read_parquet(runs / trial / "fold0/seed0/test_predictions.parquet")
    bias = (frame["prediction"] - frame["target"]).mean()
    assert leaderboard.loc["neighbours", "bias"] == pytest.approx(bias)
    assert leaderboard["target_median"].to_numpy() == pytest.approx(frame["target"].median())
    (row,) = (row for row in json.loads(text)["models"] if row["model"] == "neighbours")
    assert (row["bias"], row["target_median"]) == pytest.approx((bias, frame["target"].median()))


def test_figure_is_drawn(copy: Path) -> None:
    for suffix in ("svg", "png"):
        assert (copy / f"results/figures/recipes/error_histogram.{suffix}").stat().st_size > 1000


def test_rule_writes_its_file(copy: Path) -> None:
    table = pd.read_csv(copy / "results/tables/recipes/extremes.csv")
    targets = pd.read_parquet(copy / "results/data/recipes/targets.parquet")["target"]
    assert table["target"].tolist() == pytest.approx([targets.min(), targets.max()])


def test_after_make_generated_the_tests_of_generated_files_pass(copy: Path) -> None:
    commands = re.search(r"^generated:.*?\n(.*?)\n\n", (ROOT / "Makefile").read_text("utf-8"), flags=re.M | re.S)
    assert commands is not None
    for command in re.findall(r"python (.*)", commands[1]):
        run(copy, *command.removeprefix("-m ").removesuffix(".py").replace("tools/", "tools.").split())
    tests = ("config", "config_schema", "leaderboard_files", "metrics", "figures")
    run(copy, "pytest", "-q", "-p", "no:cacheprovider", *(f"tests/unit/test_{name}.py" for name in tests))
    run(copy, "pytest", "-q", "-p", "no:cacheprovider", "tests/golden", "-k", "tables or trials")


def test_recipes_keep_the_layers(copy: Path) -> None:
    script = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    given = os.environ | {"PYTHONPATH": str(copy)}
    done = subprocess.run([sys.executable, "-c", script], cwd=copy, env=given, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_a_package_from_outside_registers_a_model(copy: Path, tmp_path: Path) -> None:
    """The entry point that CONTRIBUTING.md shows, in an installed package of its own."""
    shutil.copytree(copy / "sitenet/models/element_mean", tmp_path / "my_package/element_mean")
    (tmp_path / "my_package/__init__.py").write_text("")
    for path in (tmp_path / "my_package/element_mean").glob("*.py"):
        path.write_text(path.read_text().replace("sitenet.models.element_mean", "my_package.element_mean"))
    entry = re.search(
        r'^\[project\.entry-points."sitenet.models"\]\n(.*?)^```',
        (ROOT / "CONTRIBUTING.md").read_text("utf-8"),
        flags=re.M | re.S,
    )
    assert entry is not None
    metadata = tmp_path / "my_package-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: my_package\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[sitenet.models]\n" + entry[1].replace('"', ""))
    config = CONFIG.replace("source: density, max_crystals: 60", "source: bundled, name: mp_dielectric_gap").split(
        "  - model: {kind: neighbours"
    )[0]
    (tmp_path / "outside.yaml").write_text(config)
    command = (
        "snakemake",
        "-s",
        f"{ROOT}/Snakefile",
        "-d",
        str(tmp_path),
        "-n",
        "--configfile",
        f"{tmp_path}/outside.yaml",
    )
    assert "train" in run(ROOT, *command, PYTHONPATH=os.pathsep.join([str(ROOT), str(tmp_path)]))

"""Ordinary slips end in one line that says what would be right, and with an exit status that is not zero."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.workflow.running import ROOT, snakemake

QUICK = ROOT / "configs" / "quick.yaml"
OWN = ROOT / "configs" / "own_files.yaml"
SLURM = ROOT / "profiles" / "slurm"
ANNOUNCEMENTS = ("Using ", "Creating specified working directory")  # which Snakemake always prints


def refused(*arguments: object, directory: Path) -> str:
    """The one line that a call without success prints."""
    run = snakemake(*arguments, directory=directory, check=False)
    assert run.returncode != 0
    lines = [line for line in (run.stdout + run.stderr).splitlines() if not line.startswith(ANNOUNCEMENTS)]
    (line,) = [line for line in lines if line]
    return line


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ("--configfile", QUICK, "tables_so_far"),
            "'tables_so_far' is taken for a configuration file, as is every word behind --configfile: write a target "
            f"first: snakemake tables_so_far --cores 2 --configfile {QUICK}",
        ),
        (
            ("--configfile", QUICK.with_name("quik.yaml")),
            f"configuration file '{QUICK.with_name('quik.yaml')}' does not exist; did you mean '{QUICK}'?",
        ),
        (
            ("--config", "dataset.max_crystals=100"),
            "--config dataset.max_crystals=100: a key inside a section is written "
            "--config 'dataset={max_crystals: 100}'",
        ),
        (("--configfile", OWN), "configuration key 'dataset.path' has the value 'my_crystals': there is no such file"),
        (("--configfile", QUICK, "--config", "folds=[5]"), "configuration key 'folds' has the value 5: the splits"),
    ],
    ids=["target behind the file", "misspelt file", "dotted key", "wrong path", "no such fold"],
)
def test_of_the_command_line(arguments: tuple[object, ...], said: str, tmp_path: Path) -> None:
    assert refused("-n", *arguments, directory=tmp_path).startswith(said)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: a\ngrid: [1,\n", "line 3, column 1: expected the node content, but found '<stream end>'"),
        ("name: a\n  grid: 1\n", "line 2, column 7: mapping values are not allowed here"),
        ("- a\n", "a configuration needs keys at top level, such as `dataset:` and `grid:`"),
        (
            "name: a\ngrid:\n  - model: {kind: dummy}\n    model:\n      kind: random_forest\n",
            "line 4: the key 'model' stands twice in this section, first in line 3; only one of them would count",
        ),
    ],
    ids=["open bracket", "indented", "list", "doubled key"],
)
def test_of_yaml(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    line = refused("-n", "--configfile", path, directory=tmp_path)
    assert line.startswith(str(path))
    assert line.endswith(said)


def test_a_key_inside_a_section_can_be_set_on_the_command_line(tmp_path: Path) -> None:
    line = refused("-n", "--configfile", QUICK, "--config", "dataset={max_crystals: 0}", directory=tmp_path)
    assert line.startswith("configuration key 'dataset.max_crystals' has the value '0': input should be greater")


def test_no_slurm_is_said_before_anything_is_submitted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("bash", "sh", "which"):
        (tools / name).symlink_to(str(shutil.which(name)))
    monkeypatch.setenv("PATH", str(tools))
    run = snakemake("--profile", SLURM, "--configfile", QUICK, directory=tmp_path / "run", check=False)
    assert run.returncode != 0
    *_, line = run.stderr.splitlines()
    assert line.startswith(
        "no SLURM here: sbatch, squeue, sinfo, scontrol, scancel not found; run this on a login node"
    )
    assert not (tmp_path / "run/results").exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot read the profile mine/config.yaml: No such file or directory (profiles here: none)"),
        ("a: [", "the profile mine/config.yaml is no YAML: while parsing a flow node"),
        ("text", "the profile mine/config.yaml needs keys at top level, such as `executor: slurm`"),
    ],
)
def test_slurm_check_of_no_profile(content: str | None, said: str, tmp_path: Path) -> None:
    if content:
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine/config.yaml").write_text(content)
    command = [sys.executable, "-m", "sitenet.slurm_check", "mine"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 1
    assert run.stdout == ""
    (line,) = run.stderr.splitlines()
    assert line.startswith(said)

"""What jobs ask for under the profiles that come with the workflow, by dry runs."""

import re
from pathlib import Path

import pytest

from tests.workflow.running import ROOT, snakemake

QUICK = ROOT / "configs" / "quick.yaml"


def resources(profile: str, directory: Path) -> dict[str, str]:
    """The resources line of one job of each rule."""
    run = snakemake(
        "-n", "--verbose", "--configfile", QUICK, "--profile", ROOT / "profiles" / profile, directory=directory
    )
    return dict(re.findall(r"^ *(?:local)?rule (\w+):\n(?: +.+\n)*? +resources: (.+)$", run.stdout, re.MULTILINE))


@pytest.mark.parametrize(("profile", "request_"), [("gpu", "gpu=1"), ("slurm", "gres=gpu:1")])
def test_only_training_asks_for_a_gpu(profile: str, request_: str, tmp_path: Path) -> None:
    asked = resources(profile, tmp_path)
    assert asked
    assert [rule for rule, line in asked.items() if request_ in line] == ["train"]


def test_every_job_fits_a_node_of_one_cpu(tmp_path: Path) -> None:
    run = snakemake("-n", "--verbose", "--configfile", QUICK, directory=tmp_path)
    assert "rule describe_crystals:" in run.stdout
    assert "threads:" not in run.stdout  # Snakemake names them from two on

"""The JSON schema by which editors complete a configuration: up to date, and of one mind with the checks."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from sitenet.config.benchmark import Benchmark
from sitenet.errors import UserError
from tests.unit.test_config import DEFAULT, ROOT, config
from tools.configuration_schema import FILE, text

SCHEMA = json.loads(FILE.read_text())
CONFIGURATIONS = [ROOT / "config.yaml", *sorted((ROOT / "configs").glob("*.yaml"))]


def problems(configuration: Any) -> list[str]:
    return [error.json_path for error in Draft202012Validator(SCHEMA).iter_errors(configuration)]


def test_the_schema_is_up_to_date() -> None:
    assert FILE.read_text() == text()
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("path", CONFIGURATIONS, ids=lambda path: path.name)
def test_every_configuration_names_the_schema_and_fits(path: Path) -> None:
    named = re.fullmatch(r"# yaml-language-server: \$schema=(\S+)", path.read_text().splitlines()[0])
    assert named
    assert (path.parent / named[1]).resolve() == FILE.resolve()
    assert problems(yaml.safe_load(path.read_text())) == []


@pytest.mark.parametrize(
    ("path", "value", "where"),
    [
        (["fold"], [1], "$"),
        (["shards"], 0, "$.shards"),
        (["dataset", "name"], "mp_dielectrc_gap", "$.dataset"),
        (["dataset", "mirror"], "a mirror is for Matbench", "$.dataset"),
        (["dataset", "max_failed_share"], 2, "$.dataset"),
        (["splits", "n_fold"], 3, "$.splits"),
        (["tracking", "mode"], "on", "$.tracking.mode"),
        (["grid"], [], "$.grid"),
        (["grid", 0, "model", "kind"], "sitnet", "$.grid[0]"),
        (["grid", 0, "model", "blocks"], [1, 0], "$.grid[0]"),
        (["grid", 0, "model", "blocks"], [], "$.grid[0]"),
        (["grid", 0, "model", "attention_hidden"], [225], "$.grid[0]"),
        (["grid", 0, "training", "learing_rate"], 0.1, "$.grid[0]"),
        (["grid", 2, "training"], {"max_epochs": 1}, "$.grid[2]"),
    ],
)
def test_what_the_workflow_refuses_the_schema_refuses(path: list, value: Any, where: str) -> None:
    wrong = config(*path, value=value)
    with pytest.raises(UserError):
        Benchmark(wrong)
    assert problems(wrong) == [where]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["grid", 0, "model", "head_hidden"], [[200], [100, 100]]),
        (["grid", 0, "model", "cutoff"], [None, 5.0]),
        (["grid", 0, "training", "max_epochs"], 3),
        (["splits"], {"kind": "grouped_kfold"}),
    ],
)
def test_values_and_scans_that_the_workflow_takes_fit(path: list, value: Any) -> None:
    changed = config(*path, value=value)
    Benchmark(changed)
    assert problems(DEFAULT) == problems(changed) == []

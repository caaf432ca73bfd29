"""Configuration: every mistake is one clear line, and trial ids never move by accident."""

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from sitenet.config.benchmark import Benchmark
from sitenet.config.grid import expand_grid
from sitenet.config.trial import Trial, sections_of
from sitenet.errors import UserError
from sitenet.features.elements import TABLE as ELEMENTS
from sitenet.models.registry import model_kinds
from sitenet.settings.elements import ElementalProperty
from tools.configuration_reference import reference

ROOT = Path(__file__).parents[2]
DEFAULT = json.loads(json.dumps(yaml.safe_load((ROOT / "config.yaml").read_text())))  # anchors share no more


def config(*path: Any, value: Any) -> dict:
    """The default configuration with one value replaced; `path` leads to it."""
    changed = copy.deepcopy(DEFAULT)
    section = changed
    for key in path[:-1]:
        section = section[key]
    section[path[-1]] = value
    return changed


def trial(**sections: dict) -> Trial:
    (only,) = expand_grid([sections]).values()
    return only


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        (["fold"], [1], "'fold' is unknown; did you mean 'folds'?"),
        (["folds"], [], "at least one value is needed"),
        (["folds"], [0, 7], "'folds' has the value 7: the splits have folds 0 to 4"),
        (["compare_to"], "mp_dielectric_gap", "'compare_to' has the value 'mp_dielectric_gap': it is this benchmark"),
        (["seeds"], [-1], "greater than or equal to 0"),
        (["seeds"], [1, 1], "none may be repeated"),
        (["seeds"], [2**32], "less than 4294967296"),
        (["seeds"], [0, True], "'seeds.1' has the value 'true': input should be a valid integer"),
        (["shards"], 0, "'shards' has the value 0"),
        (["shards"], True, "'shards' has the value 'true': input should be a valid integer"),
        (["dataset", "max_failed_share"], True, "'dataset.max_failed_share' has the value 'true': input should be a"),
        (["dataset", "name"], "mp_dielectrc_gap", "did you mean 'mp_dielectric_gap'?"),
        (["dataset", "source"], "bundle", "did you mean 'bundled'?"),
        (["dataset", "max_faild_share"], 0.1, "did you mean 'dataset.max_failed_share'?"),
        (["dataset", "max_failed_share"], 2, "'dataset.max_failed_share' has the value 2"),
        (["splits", "kind"], "kfolds", "did you mean 'kfold'?"),
        (["splits", "n_fold"], 3, "did you mean 'splits.n_folds'?"),
        (["splits"], {"kind": "official"}, "'mp_dielectric_gap' of source 'bundled' has no official folds"),
        (["splits"], {"kind": "element", "elements": [["Ox"]]}, "'splits.elements.0.0' has the value 'Ox': no element"),
        (["splits"], {"kind": "cluster", "features": "both"}, "'splits.features' has the value 'both'"),
        (
            ["splits"],
            {"kind": "ids", "path": "{x}.csv"},
            "'splits.path' has the value '{x}.csv': snakemake takes braces",
        ),
        (
            ["dataset"],
            {"source": "files", "name": "x", "path": "my {crystals}", "target": "x", "unit": "x"},
            "'dataset.path' has the value 'my {crystals}': snakemake takes braces in a path for wildcards",
        ),
        (["grid"], [], "'grid' is empty"),
        (["grid", 0, "model", "kind"], "sitnet", "did you mean 'sitenet'?"),
        (["grid", 0, "model", "blocks"], [], "'grid.0.model.blocks' is an empty list"),
        (["grid", 0, "model", "blocks"], [1, 0], "'grid.0.model.blocks' has the value 0"),
        (["grid", 0, "model", "attention_hidden"], [225], "should be a list"),
        (["grid", 0, "features", "max_sites"], [50, True], "'grid.0.features.max_sites' has the value 'true'"),
        (["grid", 0, "training", "ema_decay"], False, "'grid.0.training.ema_decay' has the value 'false'"),
        (["grid", 0, "training", "learing_rate"], 0.1, "did you mean 'grid.0.training.learning_rate'?"),
        (["grid", 0, "trainin"], {}, "did you mean 'grid.0.training'?"),
        (["grid", 2, "features"], {}, "'grid.2.features' is unknown (valid: grid.2.model)"),
        (
            ["grid", 2],
            {},
            f"'grid.2.model.kind' is missing (valid: {', '.join(model_kinds())})",
        ),
    ],
)
def test_mistake_is_one_clear_line(path: list, value: Any, expected: str) -> None:
    with pytest.raises(UserError) as error:
        Benchmark(config(*path, value=value))
    assert expected in str(error.value)
    assert "\n" not in str(error.value)


def test_every_problem_is_reported() -> None:
    changed = config("folds", value=[])
    changed["seeds"] = []
    with pytest.raises(UserError) as error:
        Benchmark(changed)
    assert len(str(error.value).splitlines()) == 2


def test_default_grid_is_two_networks_with_one_training_and_two_baselines() -> None:
    benchmark = Benchmark(DEFAULT)
    first, second = benchmark.networks.values()
    assert (first.kind, second.kind) == ("sitenet", "sitenet_radial")
    assert (first.training, first.features) == (second.training, second.features)
    assert [t.kind for t in benchmark.baselines.values()] == ["dummy", "random_forest"]
    assert len(benchmark.feature_sets) == 1


def test_text_numbers_and_command_line_lists_are_understood() -> None:
    changed = config("grid", 0, "training", "learning_rate", value="1e-3")
    changed |= {"folds": "[0, 1]", "seeds": "[3]"}
    benchmark = Benchmark(changed)
    assert benchmark.folds == (0, 1)
    assert benchmark.settings.seeds == (3,)
    rates = [t.settings["training"]["learning_rate"] for t in benchmark.networks.values() if t.kind == "sitenet"]
    assert rates == [1e-3] * len(rates) != []


def test_trial_ids_are_pinned() -> None:
    """Changing one of these orphans published results: it takes a new stage version and a reason."""
    assert trial(model={"kind": "sitenet"}).id == "635935f9"
    assert trial(model={"kind": "sitenet", "blocks": 3}, training={"learning_rate": 1e-3}).id == "7d635f18"
    assert trial(model={"kind": "sitenet_radial"}).id == "75f39cd7"
    assert trial(model={"kind": "published", "submission": "matbench_v0.1_alignn"}).id == "1f90962b"
    assert trial(model={"kind": "dummy"}).id == "bde2fcf4"
    assert trial(model={"kind": "random_forest"}).id == "b26c651e"
    assert trial(model={"kind": "sitenet_radial"}, features={"radius": 6.0}).feature_id == "sphere6-e53d2337"


def test_the_tolerance_of_primitive_cells_is_the_papers_for_supercells_alone() -> None:
    assert trial(model={"kind": "sitenet"}).features.cell_tolerance == 0.5
    assert trial(model={"kind": "sitenet"}, features={"radius": 6.0}).features.cell_tolerance == 0.01
    published = {"max_sites": 100, "supercell": True, "radius": 6.0, "distance_tolerance": 0.0001}
    old = Trial.from_settings({"model": {"kind": "sitenet"}, "features": published, "training": {}})
    assert (old.features.cell_tolerance, old.feature_id) == (0.01, "sphere6-e53d2337")
    kept = trial(model={"kind": "sitenet"}, features={"primitive_tolerance": 0.01})
    assert (kept.features.cell_tolerance, kept.id) != (0.5, "635935f9")
    assert kept.features.size == "sites100"


@pytest.mark.parametrize("kind", model_kinds())
def test_defaults_leave_the_id_alone(kind: str) -> None:
    """A new hyperparameter at its default reruns nothing: written out or not, the trial is the same."""
    written = {name: section().model_dump() for name, section in sections_of(kind).items()}
    for values in written.values():
        for key, value in values.items():
            values[key] = [value] if isinstance(value, (list, tuple)) else value
    assert trial(**written).id == trial(model={"kind": kind}).id


def test_a_grid_of_millions_is_refused_before_it_is_formed() -> None:
    scan = {"max_epochs": list(range(1, 1001)), "patience": list(range(1, 1001)), "max_minutes": list(range(60))}
    with pytest.raises(UserError, match=r"'grid\.0' scans 60,000,000 combinations; the limit is 10,000"):
        expand_grid([{"model": {"kind": "sitenet"}, "training": scan}])


def test_one_more_grid_value_keeps_the_other_trials() -> None:
    before = set(Benchmark(DEFAULT).trials)
    after = set(Benchmark(config("grid", 0, "model", "blocks", value=[1, 2, 3])).trials)
    assert before < after
    assert len(after) == len(before) + 2


def test_list_hyperparameters_are_scanned_as_lists_of_lists() -> None:
    trials = expand_grid([{"model": {"kind": "sitenet", "head_hidden": [[200], [100, 100]]}}])
    assert [t.settings["model"]["head_hidden"] for t in trials.values()] == [[200], [100, 100]]


def test_resolved_configuration_is_plain_yaml_and_complete() -> None:
    resolved = yaml.safe_load(yaml.safe_dump(Benchmark(DEFAULT).resolved()))
    assert resolved["splits"]["validation_share"] == 0.1
    assert all("kind" in settings["model"] for settings in resolved["trials"].values())


def test_importing_the_configuration_is_light() -> None:
    code = "import sys, sitenet.config.benchmark; print({'torch', 'pymatgen', 'numpy', 'pandas'} & set(sys.modules))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "set()"


def test_configuration_page_is_current() -> None:
    assert (ROOT / "docs" / "configuration.md").read_text() == reference()


def test_elemental_properties_are_those_of_the_table() -> None:
    header = next(line for line in ELEMENTS.read_text().splitlines() if not line.startswith("#"))
    assert tuple(header.split(",")) == get_args(ElementalProperty)

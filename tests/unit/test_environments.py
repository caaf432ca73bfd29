"""The conda files and the container recipe install what the pip lock pins."""

import re
from pathlib import Path

import pytest
import yaml

from tools.write_environments import all_pins, environment_files, pins

ROOT = Path(__file__).parents[2]
LOCK = all_pins(ROOT / "envs")


@pytest.mark.parametrize("name", ["cpu", "cuda"])
def test_conda_file_has_the_pins_of_the_lock(name: str) -> None:
    dependencies = yaml.safe_load((ROOT / "envs" / f"{name}.yaml").read_text())["dependencies"]
    pip = next(item["pip"] for item in dependencies if isinstance(item, dict))
    assert [line for line in pip if not line.startswith("--")] == LOCK


def test_files_are_those_the_tool_writes() -> None:
    for name, text in environment_files(ROOT / "envs").items():
        assert (ROOT / "envs" / name).read_text() == text, f"envs/{name}: run `python tools/write_environments.py`"


def test_everything_is_pinned() -> None:
    assert all(re.fullmatch(r"[\w.-]+==[\w.+]+", pin) for pin in LOCK)


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-nodeps.lock", "requirements-triton.lock"])
def test_every_pin_has_hashes(name: str) -> None:
    requirements = re.split(r"\n(?=\S)", (ROOT / "envs" / name).read_text(encoding="utf-8"))
    hashed = [r for r in requirements if re.fullmatch(r"\S+==\S+( \\\n    --hash=sha256:[0-9a-f]{64})+\n?", r)]
    assert len(hashed) == len(pins(ROOT / "envs" / name)) == len([r for r in requirements if not r.startswith("#")])


def test_hashes_are_asked_for_wherever_there_are_some() -> None:
    for name, locks in (("Makefile", 3), ("envs/Dockerfile", 2)):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert text.count("--require-hashes") == locks, name
        assert "requirements-torch.lock" in text or "$(TORCH)" in text


def test_container_is_built_from_the_lock() -> None:
    recipe = (ROOT / "envs" / "Dockerfile").read_text()
    assert "--requirement /opt/sitenet/envs/requirements.lock" in recipe
    assert "--requirement /opt/sitenet/envs/requirements-nodeps.lock" in recipe


def test_environments_have_a_compiler() -> None:
    """Without one, networks are trained by plain torch, several times slower."""
    assert " gcc libc6-dev " in (ROOT / "envs" / "Dockerfile").read_text()
    for name in ("cpu", "cuda"):
        assert "c-compiler" in yaml.safe_load((ROOT / "envs" / f"{name}.yaml").read_text())["dependencies"]


def test_every_job_names_an_environment() -> None:
    """What `--sdm conda` deploys; `all` has nothing to run."""
    rules = "".join(path.read_text() for path in (ROOT / "rules").glob("*.smk"))
    assert len(re.findall(r"^    conda:\n", rules, flags=re.MULTILINE)) == len(
        re.findall(r"^    script:\n", rules, flags=re.MULTILINE)
    )

"""Writes the conda files of envs/ from the pip lock, which `make lock` resolves; run from the repository's root.

Snakemake copies a conda file before it creates the environment, so that the file cannot refer to the lock beside
it: the pins are repeated in it. tests/unit/test_environments.py compares them.
"""

from pathlib import Path

ENVS = Path("envs")
CPU_INDEX = "https://download.pytorch.org/whl/cpu"

HEADER = """\
# Written by tools/write_environments.py from requirements.lock; do not edit.
# Without the lock's hashes: pip takes them for all packages of a file or for none, and torch has none.
# {purpose}
channels:
  - conda-forge
  - nodefaults
dependencies:
  - python=3.11
  - c-compiler
  - pip
  - pip:
"""
POST_DEPLOY = """\
#!/bin/sh
# Written by tools/write_environments.py from requirements-nodeps.lock; do not edit.
# They ask for older packages than they need, or for more, so they go in without their dependencies.
set -eu
"$CONDA_PREFIX/bin/python" -m pip install --no-deps {pins}
"""
PURPOSES = {
    "cpu": "`--sdm conda`, rules without a GPU.",
    "cuda": "`--sdm conda`, training; works on CPUs too.",
}


def pins(lock: Path) -> list[str]:
    """Requirements in a lock file, comments and hashes left out."""
    lines = lock.read_text(encoding="utf-8").splitlines()
    return [line.removesuffix(" \\") for line in lines if line and not line.startswith(("#", " "))]


def all_pins(envs: Path) -> list[str]:
    """What `make` installs with dependencies: the hashed pins, and torch's, which has no hash."""
    return sorted(pins(envs / "requirements.lock") + pins(envs / "requirements-torch.lock"), key=str.lower)


def environment_files(envs: Path) -> dict[str, str]:
    """Content of every file that is derived from the lock in `envs`, by name."""
    nodeps = " ".join(pins(envs / "requirements-nodeps.lock"))
    files = {}
    for name, purpose in PURPOSES.items():
        index = [f"--extra-index-url {CPU_INDEX}"] if name == "cpu" else []
        lines = [f"      - {pin}\n" for pin in [*index, *all_pins(envs)]]
        files[f"{name}.yaml"] = HEADER.format(purpose=purpose) + "".join(lines)
        files[f"{name}.post-deploy.sh"] = POST_DEPLOY.format(pins=nodeps)
    return files


if __name__ == "__main__":
    for name, text in environment_files(ENVS).items():
        (ENVS / name).write_text(text, encoding="utf-8")

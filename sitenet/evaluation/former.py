"""Keeps the tables of a benchmark where a run is about to replace them by fewer results or by those of other data."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path("results/former")
RECORD = "config.yaml"  # beside the tables: the configuration that they were made with
NO_MATTER = ("mirror", "max_failed_share")  # keys of `dataset` that change no result


def losses(tables: Path, planned: Mapping[str, Any]) -> list[str]:
    """What the tables in a folder have and the planned ones will not, in words; nothing where they only grow.

    Args:
        tables: Folder of the tables.
        planned: The resolved configuration.
    """
    try:
        former = yaml.safe_load((tables / RECORD).read_text("utf-8"))
        return [
            *differing("dataset", former["dataset"], planned["dataset"]),
            *differing("splits", former["splits"], planned["splits"]),
            *(
                f"{key} {planned[key]} in place of {former[key]}"
                for key in ("folds", "seeds")
                if set(former[key]) - set(planned[key])
            ),
            *_left_out(former["trials"], planned["trials"]),
        ]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, LookupError, TypeError, yaml.YAMLError):
        return [f"a {RECORD} that cannot be read"]


def differing(section: str, former: Mapping[str, Any], planned: Mapping[str, Any]) -> list[str]:
    """The keys of a section on which results depend and whose values differ, each with both values."""
    names = [name for name in {**former, **planned} if former.get(name) != planned.get(name) and name not in NO_MATTER]
    return [f"{section}.{name} {planned.get(name)} in place of {former.get(name)}" for name in names]


def _left_out(former: Mapping[str, Any], planned: Mapping[str, Any]) -> list[str]:
    missing = [settings["model"]["kind"] for trial, settings in former.items() if trial not in planned]
    return [f"without {len(missing)} of {len(former)} trials ({', '.join(dict.fromkeys(missing))})"] if missing else []


def keep(benchmark: str, tables: Path, figures: Path) -> Path:
    """Copies tables and figures to a folder with the next number; the last copy is taken where it is the same.

    Returns:
        The folder, for example `results/former/quick-1`.
    """
    found = (path.name.rpartition("-") for path in FOLDER.glob(f"{benchmark}-*"))
    last = max((int(number) for name, _, number in found if name == benchmark and number.isdigit()), default=0)
    latest = FOLDER / f"{benchmark}-{last}"
    if last and _same(latest / "tables", tables):
        return latest
    target = FOLDER / f"{benchmark}-{last + 1}"
    temporary = FOLDER / f".{target.name}.tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    shutil.copytree(tables, temporary / "tables")
    if figures.is_dir():
        shutil.copytree(figures, temporary / "figures")
    temporary.rename(target)
    return target


def _same(one: Path, other: Path) -> bool:
    return all(_content(one / name) == _content(other / name) for name in (RECORD, "leaderboard.csv", "trials.csv"))


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None

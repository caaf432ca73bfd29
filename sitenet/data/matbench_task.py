"""Official metadata and folds of Matbench v0.1, as the `matbench` and `matminer` packages ship them.

Their data files are read directly: importing `matbench` takes many seconds.
"""

import json
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

MATBENCH_CITATION = "Dunn et al., npj Comput. Mater. 6, 138 (2020), doi:10.1038/s41524-020-00406-3"


@dataclass(frozen=True)
class OfficialTask:
    """One task's metadata; `column` names its target in the file, and a class has no `unit`."""

    name: str
    column: str
    unit: str | None
    n_crystals: int
    url: str
    sha256: str
    citation: str

    @property
    def file_name(self) -> str:
        """Name of the official file."""
        return self.url.rpartition("/")[2]

    def id(self, n: int) -> str:
        """Official id of the crystal in row `n`, counted from 0."""
        width = len(str(self.n_crystals))
        return f"{self.name.replace('matbench', 'mb').replace('_', '-')}-{n + 1:0{width}d}"


def official_task(name: str) -> OfficialTask:
    """Metadata of a task."""
    task = _read("matbench", "matbench_v0.1_dataset_metadata.json")[name]
    file = _read("matminer", "datasets/dataset_metadata.json")[name]
    return OfficialTask(
        name=name,
        column=task["target"],
        unit=task["unit"],
        n_crystals=task["n_samples"],
        url=file["url"],
        sha256=file["hash"],
        citation=f"{MATBENCH_CITATION}; {' '.join(file['reference'].split())}",
    )


def official_folds(name: str) -> list[tuple[list[str], list[str]]]:
    """Training and test ids of every official fold of a task, in official order."""
    splits = _read("matbench", "matbench_v0.1_validation.json")["splits"][name]
    return [(splits[fold]["train"], splits[fold]["test"]) for fold in sorted(splits)]


@cache
def _read(package: str, path: str) -> Any:
    spec = find_spec(package)
    assert spec is not None, f"{package} is a pinned dependency"
    assert spec.origin is not None
    return json.loads((Path(spec.origin).parent / path).read_bytes())

"""Settings of a regressor that is named by its import path."""

import ast
import json
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from sitenet.settings.descriptors import DESCRIPTORS, check_installed
from sitenet.settings.problems import unknown
from sitenet.settings.section import RowName, Section, with_numbers

PACKAGES = ("sklearn", "xgboost", "lightgbm")
# The tables of features that a regressor reads, by what is chosen.
FEATURE_TABLES: dict[str, tuple[str, ...]] = {
    "composition": ("composition",),
    "structure": ("structure",),
    "both": ("composition", "structure"),
    "chgnet": ("chgnet",),
    "sevennet": ("sevennet",),
    "all": ("composition", "structure", "chgnet"),
}
TAKEN = {"random_state": "the key 'seeds'", "n_jobs": "the threads of the job"}


class SklearnSettings(Section):
    """A regressor, or a classifier for classes, with the interface of scikit-learn.

    Attributes:
        estimator: Import path of the regressor or classifier: of scikit-learn, or of XGBoost or LightGBM where they are
            installed.
        parameters: Its parameters by name. A list is a scan over its values, here as everywhere in the grid.
        features: What it sees of a crystal: Magpie statistics of its composition, a few numbers of its structure, or
            both. With `chgnet` or `sevennet` it sees what this pretrained network knows of its sites: mean, maximum,
            minimum and deviation. `all` is composition, structure and `chgnet`.
        standardise: Shift and scale every feature to mean 0 and variance 1 of the crystals that it is fitted to.
        name: What the row of the leaderboard is called; the regressor and the features when left out.
    """

    kind: Literal["sklearn"] = "sklearn"
    estimator: Annotated[str, Field(pattern=r"^[A-Za-z]\w*(\.[A-Za-z_]\w*)+$")] = (
        "sklearn.ensemble.HistGradientBoostingRegressor"
    )
    parameters: dict[str, Any] = Field(default={})
    features: Literal["composition", "structure", "both", "chgnet", "sevennet", "all"] = "composition"
    standardise: bool = False
    name: RowName | None = None

    @field_validator("estimator")
    @classmethod
    def _exists(cls, estimator: str) -> str:
        check_estimator(estimator)
        return estimator

    @field_validator("features")
    @classmethod
    def _is_installed(cls, features: str) -> str:
        for name in DESCRIPTORS:
            if name in FEATURE_TABLES[features]:
                check_installed(name)
        return features

    @field_validator("parameters")
    @classmethod
    def _plain(cls, parameters: dict[str, Any]) -> dict[str, Any]:
        for name, value in parameters.items():
            if name in TAKEN:
                raise ValueError(f"{name} is not set here: {TAKEN[name]} decides")
            try:
                json.dumps(value, allow_nan=False)
            except (TypeError, ValueError):
                raise ValueError(f"{name} needs a finite number, text, true, false, null or a list of them") from None
        return {name: with_numbers(value) for name, value in parameters.items()}


def check_estimator(estimator: str) -> None:
    """Looks an import path up in the files of its package; imports nothing, because planning does not wait for it.

    Raises:
        ValueError: The package is none of `PACKAGES` or is not installed, or it has no such class.
    """
    package, *modules, name = estimator.split(".")
    if package not in PACKAGES:
        raise ValueError(f"a regressor is imported from {', '.join(PACKAGES)}, nothing else")
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise ValueError(f"{package} is not installed: pip install {package}")
    folder = Path(spec.origin).parent.joinpath(*modules)
    file = folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")
    if not file.is_file():
        raise ValueError(f"{package} has no module {'.'.join([package, *modules])}")
    names = _public_names(file)
    if name not in names:
        raise ValueError(
            unknown(f"{'.'.join([package, *modules])}: class", name, sorted(n for n in names if not n.startswith("_")))
        )


def _public_names(file: Path) -> set[str]:
    """The names that a module lists in `__all__`, or else the classes that it defines."""
    body = ast.parse(file.read_text("utf-8")).body
    for statement in body:
        if isinstance(statement, ast.Assign) and [ast.unparse(target) for target in statement.targets] == ["__all__"]:
            return {str(item.value) for item in ast.walk(statement.value) if isinstance(item, ast.Constant)}
    return {statement.name for statement in body if isinstance(statement, ast.ClassDef)}

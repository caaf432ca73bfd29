"""Which model kinds there are: those of this package and those that installed packages register.

A kind is a package with a `KIND`: `sitenet.models.<kind>` and one name in `TRAINED`, or anywhere else an entry point
of the group "sitenet.models". Planning reads the registry, so it imports settings and nothing heavier.
"""

from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, Literal

from sitenet.errors import UserError
from sitenet.settings.section import Section

TRAINED = (
    "sitenet",
    "sitenet_radial",
    "cgcnn",
    "schnet",
    "dummy",
    "random_forest",
    "sklearn",
    "external",
)
BUILT_IN = (*TRAINED, "published", "predictions")
GROUP = "sitenet.models"


@dataclass(frozen=True)
class ModelKind:
    """One kind of model, the `kind` of its settings.

    Attributes:
        settings: Its hyperparameters; the field `kind` is a literal with a default.
        role: A `network` is trained on point sets by gradient descent. A `baseline` is fitted to composition features,
            or to those that its setting `features` names. An `external` one is a command that trains and predicts.
            `predictions` were made elsewhere and are read from a file.
        implementation: "module:name", imported when a job needs it. Of a network a callable (settings, non_negative)
            that gives a `sitenet.models.base.network.Network`; of a baseline a callable (settings, seed, threads) that
            gives a regressor with scikit-learn's `fit` and `predict`.
        classifier: The same of a baseline for targets that are classes: its `predict` gives probabilities of class 1.
            Empty where there is none. Every network can classify.
    """

    settings: type[Section]
    role: Literal["network", "baseline", "external", "predictions"]
    implementation: str = ""
    classifier: str = ""

    @property
    def name(self) -> str:
        """The value of `model.kind`."""
        return self.settings.model_fields["kind"].default

    def build(self, *arguments: Any) -> Any:
        """Calls the implementation."""
        return _call(self.implementation, *arguments)

    def build_classifier(self, *arguments: Any) -> Any:
        """Calls the implementation of a baseline for classes."""
        return _call(self.classifier, *arguments)


def _call(path: str, *arguments: Any) -> Any:
    module, _, name = path.partition(":")
    return getattr(import_module(module), name)(*arguments)


@cache
def model_kinds() -> dict[str, ModelKind]:
    """All kinds by name, built-in ones first.

    Raises:
        UserError: A package registers something that is no model kind, or a name that is taken.
    """
    found = [import_module(f"sitenet.models.{name}").KIND for name in BUILT_IN]
    kinds = {kind.name: kind for kind in found}
    for entry in entry_points(group=GROUP):
        where = f"entry point '{entry.name}' of the group {GROUP} ({entry.value})"
        try:
            kind = entry.load()
        except (ImportError, AttributeError) as error:
            raise UserError(f"{where} cannot be imported: {error}") from None
        if not isinstance(kind, ModelKind):
            raise UserError(f"{where} is no ModelKind of sitenet.models.registry")
        if kind.name in kinds:
            raise UserError(f"{where} registers the model kind '{kind.name}', which exists already")
        kinds[kind.name] = kind
    return kinds


def kinds_of_role(role: str) -> dict[str, ModelKind]:
    """The kinds of one role by name."""
    return {name: kind for name, kind in model_kinds().items() if kind.role == role}


def is_network(kind: str) -> bool:
    """Whether a model of this kind is trained on point sets."""
    return model_kinds()[kind].role == "network"


def is_selected(kind: str) -> bool:
    """Whether trials of this kind are chosen by their validation error; every trial of others is a row of its own."""
    return model_kinds()[kind].role in ("network", "external")


def default_model(kind: str, *arguments: Any) -> Any:
    """A new model with default hyperparameters; see `ModelKind.implementation` for the other arguments."""
    found = model_kinds()[kind]
    return found.build(found.settings(), *arguments)

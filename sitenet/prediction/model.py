"""A model as users see it: networks whose predictions are averaged, from structures of any kind to a data frame."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sitenet.data.crystal import BadCrystal, Crystal
from sitenet.data.formula import standard_formula
from sitenet.data.structures.text import one_line
from sitenet.errors import UserError
from sitenet.evaluation.tables.rounding import decimals
from sitenet.features.featurize import featurize
from sitenet.features.point_set import PointSet
from sitenet.prediction.card import DEFAULT, PretrainedModel
from sitenet.prediction.inputs.items import Item
from sitenet.prediction.networks import ModelName, Networks, find_networks
from sitenet.prediction.predictor import Predictor
from sitenet.prediction.uncertainty.uncertainty import Uncertainty
from sitenet.settings.features import FeatureSettings
from sitenet.tasks import TASKS, Task
from sitenet.training.allotment import DeviceName
from sitenet.training.batching import DivergedError

if TYPE_CHECKING:
    from ase import Atoms
    from pymatgen.core import IStructure

    Crystals = IStructure | Atoms | str | Path | Iterable[IStructure | Atoms | str | Path]


@dataclass(frozen=True)
class Prepared:
    """Crystals that were read and featurized.

    Attributes:
        ids: Of all crystals, in their order.
        reasons: Why a crystal cannot be used, by its place.
        crystals: The usable ones, in their order, as they were read.
        point_sets: Their features.
    """

    ids: list[str]
    reasons: dict[int, str]
    crystals: list[Crystal]
    point_sets: list[PointSet]


@dataclass(frozen=True)
class Predicted:
    """Usable crystals and what the networks of a model say of them.

    Attributes:
        crystals: The C structures, as they were read.
        members: (K, C) predictions of each of the K networks, in the unit of the target.
    """

    crystals: list[Crystal]
    members: NDArray[np.float64]

    @property
    def mean(self) -> NDArray[np.float64]:
        """(C,) the prediction of the model."""
        return self.members.mean(axis=0)

    @property
    def spread(self) -> NDArray[np.float64]:
        """(C,) standard deviation over the networks; NaN of a single one."""
        return self.members.std(axis=0, ddof=1) if len(self.members) > 1 else np.full(self.members.shape[1], np.nan)


class InMemory:
    """Point sets in memory, with the interface that `infer` expects."""

    def __init__(self, point_sets: Sequence[PointSet]):
        self._point_sets = point_sets
        self.ids = [point_set.id for point_set in point_sets]
        self.n_pairs = np.array([len(point_set.distances) for point_set in point_sets], dtype=np.int64)

    def __getitem__(self, index: int) -> PointSet:
        """The point set at `index`."""
        return self._point_sets[index]


class Model:
    """A model that predicts one property of crystals.

    Attributes:
        name: What it was loaded by.
        title: The property in words, where the model has a card; else the target's name in the data.
        unit: Its unit.
        pretrained: Its folder and card, where it has one.
        uncertainty: Intervals and flags, where it is calibrated.
    """

    def __init__(self, networks: Networks, device: DeviceName = "auto"):
        self.networks = networks
        self.device: DeviceName = device
        self.predictors = [Predictor.load(file, device) for file in networks.files]
        _check_alike(networks.files, self.predictors)
        self.name = networks.name
        self.pretrained: PretrainedModel | None = networks.pretrained
        self.title = self.pretrained.about.title if self.pretrained else self.predictors[0].description.target
        self.unit = self.predictors[0].description.unit
        self.uncertainty = Uncertainty.read(self.pretrained.folder) if self.pretrained else None

    @property
    def task(self) -> Task:
        """What the networks predict: a number, or the probability of class 1."""
        return TASKS[self.predictors[0].description.task]

    @property
    def features(self) -> FeatureSettings:
        """How the networks see crystals."""
        return self.predictors[0].trial.features

    @property
    def is_on_gpu(self) -> bool:
        """Whether the networks compute on a GPU, which other processes then leave alone."""
        return self.predictors[0].device.type == "cuda"

    @cached_property
    def typical_error(self) -> float | None:
        """Error on test crystals, else of the best network on validation crystals; None where neither is known."""
        if self.pretrained:
            return self.pretrained.card.test.mae
        known = [predictor.best.validation_error for predictor in self.predictors if predictor.best]
        return min(known, default=None)

    @property
    def decimals(self) -> int:
        """Decimals of a prediction that mean something: those of two digits of its typical error."""
        return max(decimals(self.typical_error), 0) if self.typical_error else 3

    def predict(self, crystals: "Crystals", cores: int | None = None) -> pd.DataFrame:
        """Predicts crystals.

        Args:
            crystals: One or any number of structures of pymatgen, atoms of ASE, and paths. A path is what
                `sitenet predict` takes: a structure file, folder, archive or table, or an id of the Materials Project.
            cores: Processes that share the work if there are many crystals; None takes all cores.

        Returns:
            One row a crystal, in their order, with the columns

            - id: the path, or the place in the list, from 0
            - formula: reduced formula, "Fe2O3" for example
            - prediction: in `unit`, or the probability of class 1; NaN where the crystal cannot be used
            - spread: standard deviation over the networks; NaN of a single one
            - low_80, high_80, low_95, high_95: intervals, where the model is calibrated, like the next two
            - metal: probability that the target is 0
            - flags: reasons to doubt the prediction, or to know it already
            - unit
            - reason: why the crystal cannot be used, else None

        Raises:
            UserError: Something else is in the list.
        """
        from sitenet.prediction.inputs.objects import items_of_objects
        from sitenet.prediction.stream import frames

        found = [frame for frame, _ in frames(self, items_of_objects(crystals), cores)]
        return pd.concat(found, ignore_index=True) if found else self.frame(Prepared([], {}, [], []))

    def predicted(self, prepared: Prepared) -> Predicted:
        """Predictions of every network; NaN where one is not finite."""
        point_sets = InMemory(prepared.point_sets)
        return Predicted(prepared.crystals, np.array([_finite(network, point_sets) for network in self.predictors]))

    def frame(self, prepared: Prepared) -> pd.DataFrame:
        """One row for each of the crystals, with the columns of `predict`."""
        predicted = self.predicted(prepared)
        reasons = dict(prepared.reasons)
        usable = [place for place in range(len(prepared.ids)) if place not in reasons]
        for place, mean in zip(usable, predicted.mean, strict=True):
            if np.isnan(mean):
                reasons[place] = "not finite: a network gives no number for this crystal"
        columns = pd.DataFrame(columns_of(self, predicted), index=usable).reindex(range(len(prepared.ids)))
        columns.insert(0, "id", prepared.ids)
        columns["formula"] = columns["formula"].astype(object).where(columns["formula"].notna(), None)
        columns["unit"] = self.unit
        columns["reason"] = pd.Series(reasons, index=columns.index, dtype=object).where(lambda r: r.notna(), None)
        return columns


def columns_of(model: Model, predicted: Predicted) -> dict[str, Any]:
    """Columns of crystals that were predicted, each of C values in their order.

    This is where columns are added: from the predictions of the single networks (`predicted.members`), from the
    structures (`predicted.crystals`), and from files that a model keeps beside its networks (`model.uncertainty`).
    They appear in every format and in the data frame of Python, between `spread` and
    `unit`. The function runs in the processes that share the work, where `model` is loaded once.
    """
    columns = {
        "formula": [standard_formula(crystal.atomic_numbers.tolist()) for crystal in predicted.crystals],
        "prediction": predicted.mean,
        "spread": predicted.spread,
    }
    if model.uncertainty is None:
        return columns
    return columns | model.uncertainty.columns(predicted.crystals, predicted.mean, predicted.spread)


def load_model(model: ModelName = DEFAULT, device: DeviceName = "auto") -> Model:
    """Loads a model to predict crystals with.

    Args:
        model: Name of a model that comes with the package (`sitenet models` lists them), a checkpoint `best.pt`, a
            folder of seeds, or several of these, whose predictions are averaged.
        device: Where to compute; "auto" takes a GPU if there is one.

    Raises:
        UserError: There is no such model, or its networks differ in target, unit or features.
    """
    return Model(find_networks(model), device)


@cache
def model_of_process(networks: Networks) -> Model:
    """The model of a process that shares the work, on its CPU core, loaded once."""
    return Model(networks, "cpu")


def prepare(items: Sequence[Item], settings: FeatureSettings) -> Prepared:
    """Reads and featurizes crystals."""
    prepared = Prepared([item.id for item in items], {}, [], [])
    for place, item in enumerate(items):
        try:
            crystal = item.crystal()
            point_set = featurize(crystal, settings)
        except BadCrystal as reason:
            prepared.reasons[place] = one_line(reason)
        except Exception as error:  # one crystal, however strange, must not lose the others
            prepared.reasons[place] = one_line(f"failed: {type(error).__name__}: {error}")
        else:
            prepared.crystals.append(crystal)
            prepared.point_sets.append(point_set)
    return prepared


def _finite(network: Predictor, point_sets: InMemory) -> NDArray[np.float64]:
    """(C,) predictions; NaN where one is not finite."""
    places = np.arange(len(point_sets.ids))
    try:
        return network.predict(point_sets, places)
    except DivergedError:
        return np.concatenate(list(_one_by_one(network, point_sets, places)))


def _one_by_one(network: Predictor, point_sets: InMemory, places: NDArray[np.int64]) -> Iterator[NDArray[np.float64]]:
    for place in places:
        try:
            yield network.predict(point_sets, np.array([place]))
        except DivergedError:
            yield np.array([np.nan])


def _check_alike(files: Sequence[Path], predictors: Sequence[Predictor]) -> None:
    first = predictors[0]
    for file, other in zip(files[1:], predictors[1:], strict=True):
        for what, own, its in (
            ("target", first.description.target, other.description.target),
            ("unit", first.description.unit, other.description.unit),
            ("task", first.description.task, other.description.task),
            ("feature set", first.trial.feature_id, other.trial.feature_id),
        ):
            if own != its:
                raise UserError(f"{file} has the {what} {its}, but {files[0]} has {own}: an ensemble needs the same")

"""Models in the forms that other packages expect: an estimator of scikit-learn, a calculator of ASE."""

import re
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from ase import Atoms
from ase.calculators.calculator import CalculationFailed, Calculator, all_changes
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, RegressorMixin

from sitenet.prediction.card import DEFAULT
from sitenet.prediction.model import Model, load_model
from sitenet.prediction.networks import ModelName
from sitenet.training.allotment import DeviceName

if TYPE_CHECKING:
    from sitenet.prediction.model import Crystals


class CrystalRegressor(RegressorMixin, BaseEstimator):
    """A trained model as an estimator of scikit-learn, for `score`, pipelines and whatever takes a regressor.

    Attributes:
        model: What `load_model` takes.
        device: Where to compute.
        cores: Processes that share the work; None takes all cores.
    """

    def __init__(self, model: ModelName = DEFAULT, device: DeviceName = "auto", cores: int | None = None):
        self.model = model
        self.device = device
        self.cores = cores

    def fit(self, X: Any = None, y: Any = None) -> Self:
        """Loads the model; it is trained already and learns nothing from the arguments."""
        self.model_ = load_model(self.model, self.device)
        return self

    def predict(self, X: "Crystals") -> NDArray[np.float64]:
        """(C,) predictions in the unit of the model.

        Args:
            X: Crystals as `Model.predict` takes them.

        Returns:
            NaN for each crystal that cannot be used; a warning counts them and gives the first reason.
        """
        if not hasattr(self, "model_"):
            self.fit()
        frame = self.model_.predict(X, self.cores)
        failed = frame["reason"].dropna()
        if len(failed):
            warnings.warn(
                f"{len(failed)} of {len(frame)} crystals cannot be used and are NaN: {failed.iloc[0]}", stacklevel=2
            )
        return frame["prediction"].to_numpy(dtype=float)

    def __sklearn_is_fitted__(self) -> bool:
        """Always: the model is trained."""
        return True


class CrystalCalculator(Calculator):
    """A model as a calculator of ASE: `atoms.calc.get_property("band_gap", atoms)`.

    Its properties are the predicted one, named as `predicted` says, and "spread", the standard deviation over the
    networks.

    Attributes:
        predicted: Name of the property, "band_gap" for the model that comes with the package.
        model: The model.
    """

    def __init__(self, model: Model | ModelName = DEFAULT):
        super().__init__()
        self.model = model if isinstance(model, Model) else load_model(model)
        self.predicted = re.sub(r"\W+", "_", self.model.title.strip())
        self.implemented_properties = [self.predicted, "spread"]

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] | None = None,
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        """Predicts the atoms; ASE calls it when they have changed.

        Raises:
            CalculationFailed: The crystal cannot be used; the message is the reason.
        """
        super().calculate(atoms, properties, system_changes)
        (row,) = self.model.predict(self.atoms, cores=1).to_dict("records")
        if row["reason"] is not None:
            raise CalculationFailed(row["reason"])
        self.results = {self.predicted: row["prediction"], "spread": row["spread"]}

"""Any regressor or classifier of scikit-learn, XGBoost or LightGBM."""

from sitenet.models.registry import ModelKind
from sitenet.models.sklearn.settings import SklearnSettings

KIND = ModelKind(
    SklearnSettings,
    "baseline",
    "sitenet.models.sklearn.regressor:build",
    "sitenet.models.sklearn.classifier:build",
)

"""sitenet: a reproducible benchmark for predicting crystal properties, band gaps first."""

__version__ = "0.1.0"

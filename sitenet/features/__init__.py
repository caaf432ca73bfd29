"""Supercells, the lossless pair reduction, elemental properties and the feature store."""

from sitenet.features.compiled import choose_cache

choose_cache()

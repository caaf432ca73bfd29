"""Supercells, the lossless pair reduction, elemental properties and the feature store."""

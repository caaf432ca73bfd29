"""Folds: which crystals are trained on, validated on and tested on."""

"""Predictions of trained networks, for the workflow and for anybody's structure files."""

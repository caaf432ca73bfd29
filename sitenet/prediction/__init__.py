"""Predictions of trained networks, for the workflow and for a user's own structure files."""

"""Batching, the training loop and checkpoints."""

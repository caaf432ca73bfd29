"""Weights & Biases tracking, derived from the files of the runs and kept out of their way.

A run's files are the truth: the tracker reads `history.jsonl` and the RunResult files, in a process of its own
(`worker`) that training neither waits for nor depends on. Only `session` imports wandb.
"""

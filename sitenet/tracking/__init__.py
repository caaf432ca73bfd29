"""Weights & Biases (W&B) tracking, which reads the files of the runs and cannot disturb them.

The tracker runs in a process of its own (`worker`), on which training does not depend. It reads `history.jsonl` and the
RunResult files. Only `session` imports wandb.
"""

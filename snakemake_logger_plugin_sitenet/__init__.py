"""Lets Snakemake find what sitenet shows in the terminal: `logger: sitenet` in `profiles/default/config.yaml`."""

from sitenet.terminal.handler import LogHandler

__all__ = ["LogHandler"]

"""sitenet: a reproducible benchmark for predicting crystal properties, band gaps first."""

import signal
import sys

__version__ = "0.1.0"

if hasattr(sys.modules["__main__"], "snakemake"):
    # A job of the workflow: Ctrl-C ends it at once and without a traceback, also while it imports the rest.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

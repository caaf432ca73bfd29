"""sitenet: a reproducible benchmark for predicting crystal properties, band gaps first."""

import signal
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sitenet.prediction.model import load_model

__all__ = ["__version__", "load_model"]
__version__ = "0.1.0"

if hasattr(sys.modules["__main__"], "snakemake"):
    # A job of the workflow: Ctrl-C ends it at once and without a traceback, also while it imports the rest.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def __getattr__(name: str) -> Any:
    """Imports `load_model`, and torch with it, when it is first used."""
    if name != "load_model":
        raise AttributeError(f"module 'sitenet' has no attribute '{name}'")
    from sitenet.prediction.model import load_model

    return load_model

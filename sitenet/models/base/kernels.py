"""Kernels in C for float32 on CPUs, compiled at first use and kept in the user's cache folder."""

import ctypes
import hashlib
import logging
import os
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from sitenet.models.base.batch import Batch

LANES = 16  # widths are padded to its multiples, enough for every vector size in vectors.h
HEADER = Path(__file__).with_name("vectors.h")
COMPILE = ["cc", "-O3", "-march=native", "-fopenmp", "-shared", "-fPIC"]

log = logging.getLogger(__name__)


@cache
def library(name: str) -> ctypes.CDLL | None:
    """The compiled kernels of `<name>.c`; None where they cannot be built."""
    source = next(HEADER.parents[1].glob(f"*/{name}.c"))
    try:
        # Predefined macros name compiler version and instruction sets: machines can share a cache.
        probe = [*COMPILE[:3], "-dM", "-E", "-x", "c", os.devnull]
        macros = subprocess.run(probe, check=True, capture_output=True).stdout
        content = source.read_bytes() + HEADER.read_bytes() + macros + " ".join(COMPILE).encode()
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sitenet"
        target = folder / f"{name}-{hashlib.sha256(content).hexdigest()[:16]}.so"
        if not target.exists():
            _compile(source, target)
        return ctypes.CDLL(str(target))
    except (OSError, RuntimeError, subprocess.CalledProcessError) as error:
        said = (getattr(error, "stderr", None) or b"").decode(errors="replace").strip().partition("\n")[0]
        log.warning("no compiled kernels, using the slower plain torch path: %s", said or error)
        return None


def _compile(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=target.parent) as temporary:
        built = Path(temporary) / target.name
        subprocess.run([*COMPILE, str(source), "-o", str(built), "-lm"], check=True, capture_output=True)
        built.rename(target)


def usable(name: str, input_: Tensor) -> bool:
    """Whether the kernels of `<name>.c` are there, and `input_` is on a CPU and in no more than float32."""
    return input_.device.type == "cpu" and input_.dtype.itemsize <= 4 and library(name) is not None


def call(kernel: str, argument: ctypes.Structure, arrays: Mapping[str, Tensor]) -> None:
    """Calls `<name>_<kernel>` of `<name>.c` with its block of arguments, completed by the places of arrays."""
    compiled = library(kernel.partition("_")[0])
    assert compiled is not None
    assert all(array.is_contiguous() and array.dtype in (torch.float32, torch.int64) for array in arrays.values())
    for name, array in arrays.items():
        setattr(argument, name, array.data_ptr())
    getattr(compiled, kernel)(ctypes.byref(argument))


def chunk_rows(batch: Batch, least_pairs: int, most_chunks: int) -> Tensor:
    """First site class of each chunk of whole crystals with about equally many pairs, and N at the end."""
    first_rows = torch.searchsorted(batch.site_crystal, torch.arange(batch.n_crystals))
    size = max(least_pairs, -(-len(batch.distances) // most_chunks))
    chunks = batch.row_starts[first_rows] // size
    first = torch.cat([torch.ones(1, dtype=torch.bool), chunks[1:] > chunks[:-1]])
    return torch.cat([first_rows[first], torch.tensor([batch.n_sites])])

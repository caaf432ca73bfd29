"""Kernels in C for float32 on CPUs, compiled at first use and kept in the user's cache folder."""

import ctypes
import hashlib
import logging
import os
import shlex
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from sitenet.models.base.batch import Batch
from sitenet.models.base.radial_functions import Places

WIDTH_MULTIPLE = 16  # widths are padded to its multiples, enough for every vector size in vectors.h
HEADER = Path(__file__).with_name("vectors.h")
# Of kernels with a table: few chunks, as each clears and adds up a gradient of the whole table; enough to keep some
# threads evenly busy.
CHUNK_PAIRS, MAX_CHUNKS = 1024, 16
FLAGS = ["-O3", "-march=native", "-fopenmp", "-shared", "-fPIC"]

log = logging.getLogger(__name__)


def source(name: str) -> Path:
    """The C file of the kernels `name`: a model kind and a file of its folder."""
    return HEADER.parents[1] / f"{name}.c"


@cache
def library(name: str) -> ctypes.CDLL | None:
    """The kernels `name`, "sitenet/kernels" for example, compiled by `$CC` or `cc`; None where they cannot be built."""
    try:
        command = [*shlex.split(os.environ.get("CC") or "cc"), *FLAGS]
        file_name = f"{name.replace('/', '-')}-{_fingerprint(source(name), command)}.so"
        try:
            return _load(source(name), command, _cache_folder() / file_name)
        except (OSError, RuntimeError) as error:
            log.warning("no place to keep compiled kernels, so this process compiles its own: %s", error)
            with TemporaryDirectory() as folder:
                return _load(source(name), command, Path(folder) / file_name)
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        said = (getattr(error, "stderr", None) or b"").decode(errors="replace").strip().partition("\n")[0]
        log.warning("no compiled kernels, using the slower plain torch path: %s", said or error)
        return None


def _fingerprint(path: Path, command: list[str]) -> str:
    """Hash of all that a library depends on."""
    # Predefined macros name compiler version and instruction sets: machines can share a cache.
    probe = [*command, "-dM", "-E", "-x", "c", os.devnull]
    macros = subprocess.run(probe, check=True, capture_output=True).stdout
    content = path.read_bytes() + HEADER.read_bytes() + macros + shlex.join(command).encode()
    return hashlib.sha256(content).hexdigest()[:16]


def _cache_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sitenet"


def _load(path: Path, command: list[str], target: Path) -> ctypes.CDLL:
    """The library at `target`, which is built where it is missing."""
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=target.parent) as folder:
            built = Path(folder) / target.name
            subprocess.run([*command, str(path), "-o", str(built), "-lm"], check=True, capture_output=True)
            with suppress(FileExistsError):  # another process was faster and may have mapped its own: that one is used
                os.link(built, target)
    return ctypes.CDLL(str(target))


def built_by(name: str) -> str:
    """Compiler and instruction set of the kernels `name`, "gcc 12.2.0 avx512f" for example."""
    compiled = library(name)
    assert compiled is not None
    return (ctypes.c_char_p.in_dll(compiled, "built_by").value or b"").decode()


def supports(name: str, input_: Tensor) -> bool:
    """Whether the kernels `name` are there, and `input_` is on a CPU and in no more than float32."""
    return input_.device.type == "cpu" and input_.dtype.itemsize <= 4 and library(name) is not None


def call(name: str, kernel: str, arguments: ctypes.Structure, arrays: Mapping[str, Tensor]) -> None:
    """Calls a function of the kernels `name`.

    Args:
        name: The kernels.
        kernel: Name of the function.
        arguments: Its `KernelArguments`, sizes filled in.
        arrays: The arrays whose addresses complete them, by name; contiguous, float32 or int64.

    Raises:
        RuntimeError: The arguments have another size in C.
    """
    compiled = library(name)
    assert compiled is not None
    here, there = ctypes.sizeof(arguments), ctypes.c_int64.in_dll(compiled, "arguments_size").value
    if here != there:
        raise RuntimeError(f"the arguments of {kernel} have {here} bytes in Python and {there} in C")
    assert all(array.is_contiguous() and array.dtype in (torch.float32, torch.int64) for array in arrays.values())
    for name, array in arrays.items():
        setattr(arguments, name, array.data_ptr())
    getattr(compiled, kernel)(ctypes.byref(arguments))


def pair_inputs(batch: Batch, places: Places) -> dict[str, Tensor]:
    """What kernels with a table read of the pairs, without their weights."""
    return {
        "chunk_rows": chunk_rows(batch, CHUNK_PAIRS, MAX_CHUNKS),
        "row_starts": batch.row_starts,
        "far_sites": batch.pair_j,
        "knot": places.knots,
        "fraction": places.fractions.float(),
    }


def chunk_rows(batch: Batch, least_pairs: int, most_chunks: int) -> Tensor:
    """First site class of each chunk of whole crystals with about equally many pairs, and N at the end."""
    first_rows = torch.searchsorted(batch.site_crystal, torch.arange(batch.n_crystals))
    size = max(least_pairs, -(-len(batch.distances) // most_chunks))
    chunks = batch.row_starts[first_rows] // size
    first = torch.cat([torch.ones(1, dtype=torch.bool), chunks[1:] > chunks[:-1]])
    return torch.cat([first_rows[first], torch.tensor([batch.n_sites])])

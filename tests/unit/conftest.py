"""What several unit tests look at."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from sitenet.models.base import kernels


@pytest.fixture
def kernel_calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the compiled kernels in the order in which the test calls them."""
    calls: list[str] = []
    call_kernel = kernels.call

    def counted(name: str, kernel: str, *arguments: Any) -> None:
        calls.append(kernel)
        call_kernel(name, kernel, *arguments)

    monkeypatch.setattr(kernels, "call", counted)
    return calls


@pytest.fixture
def compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[[str], None]]:
    """Takes the command that compiles the kernels from then on, into an empty cache folder."""

    def use(command: str) -> None:
        monkeypatch.setenv("CC", command)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        kernels.library.cache_clear()

    yield use
    kernels.library.cache_clear()


@pytest.fixture
def set_threads() -> Iterator[Callable[[int], None]]:
    """Sets the threads of torch and of the kernels."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)

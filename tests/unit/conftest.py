"""What several unit tests look at."""

from typing import Any

import pytest

from sitenet.models.base import kernels


@pytest.fixture
def kernel_calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the compiled kernels in the order in which the test calls them."""
    calls: list[str] = []
    call_kernel = kernels.call

    def counted(kernel: str, *arguments: Any) -> None:
        calls.append(kernel)
        call_kernel(kernel, *arguments)

    monkeypatch.setattr(kernels, "call", counted)
    return calls

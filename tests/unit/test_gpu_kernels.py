"""The Triton kernels of the networks: on a CPU by Triton's interpreter, on a GPU as they are."""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from sitenet.data.table import CrystalTable, bundled_path
from sitenet.features.featurize import featurize
from sitenet.models.base.batch import Batch, collate
from sitenet.models.base.gate import plain_gated_sums
from sitenet.models.base.segments import segment_softmax, segment_sum
from sitenet.models.sitenet import gpu as sitenet_gpu
from sitenet.models.sitenet_radial import gpu
from sitenet.models.sitenet_radial.moments import plain_moment_sums
from sitenet.models.sitenet_radial.network import plain_radial_attention
from sitenet.settings.features import FeatureSettings

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
if DEVICE.type == "cpu":
    os.environ["TRITON_INTERPRET"] = "1"  # before the kernels are imported
triton = pytest.importorskip("triton")
D, H, K, G, L = 32, 4, 16, 16, 3


@pytest.fixture(scope="module")
def batch() -> Batch:
    """Crystals of some rows, with pairs that an envelope fades, one row in which all but one count nothing."""
    crystals = CrystalTable.open(bundled_path("mp_dielectric_gap")).crystals(300, 304)
    whole = collate([featurize(crystal, FeatureSettings(radius=3.5, moments=L)) for crystal in crystals])
    counts = whole.pair_counts * torch.rand(len(whole.pair_i), generator=torch.Generator().manual_seed(0))
    counts[::7] = 0
    counts[1 : whole.row_starts[1]] = 0
    counts[whole.row_starts[:-1]] = 1  # of each row's site itself
    return replace(whole, pair_counts=counts).to(DEVICE)


def assert_same(ours: Callable[..., Tensor], plain: Callable[..., Tensor], shapes: Sequence[tuple[int, int]]) -> None:
    """The kernels have the results and gradients of plain torch in float64, up to rounding."""
    torch.manual_seed(0)
    inputs = [torch.randn(shape, device=DEVICE, requires_grad=True) for shape in shapes]
    exact = [tensor.detach().double().requires_grad_() for tensor in inputs]
    result, expected = ours(*inputs), plain(*exact)
    torch.testing.assert_close(result.double(), expected, rtol=1e-5, atol=1e-5)
    weights = torch.randn_like(result)
    (result * weights).sum().backward()
    (expected * weights.double()).sum().backward()
    for tensor, other in zip(inputs, exact, strict=True):
        assert tensor.grad is not None
        assert other.grad is not None
        torch.testing.assert_close(
            tensor.grad.double(), other.grad, rtol=1e-5, atol=1e-5 * float(other.grad.abs().max())
        )


@pytest.mark.parametrize("keys", [True, False])
def test_attention(batch: Batch, keys: bool) -> None:
    def fast(qkv: Tensor, functions: Tensor) -> tuple[Tensor, Tensor]:
        return gpu.radial_attention(qkv, functions, H, keys, batch)

    def plain(qkv: Tensor, functions: Tensor) -> tuple[Tensor, Tensor]:
        f, *g, b = functions.split([D, D, H] if keys else [D, H], dim=1)
        q, k, v = qkv.chunk(3, dim=1)
        return plain_radial_attention(
            q / (D / H) ** 0.5, k, v, 1 + f, 1 + g[0] if keys else torch.ones_like(f), b, batch
        )

    N, shapes = batch.n_sites, [(batch.n_sites, 3 * D), (len(batch.pair_i), (2 if keys else 1) * D + H)]
    assert_same(lambda qkv, functions: fast(qkv, functions)[0], lambda qkv, functions: plain(qkv, functions)[0], shapes)
    qkv, functions = (torch.randn(shape, device=DEVICE) for shape in shapes)
    _, alpha = fast(qkv, functions)
    torch.testing.assert_close(alpha.double(), plain(qkv.double(), functions.double())[1], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(
        torch.zeros(N, H, device=DEVICE).index_add(0, batch.pair_i, alpha), torch.ones_like(alpha[:N])
    )


def test_moments(batch: Batch) -> None:
    exact = replace(batch, pair_counts=batch.pair_counts.double())
    assert_same(
        lambda v, w: gpu.moment_sums(v, w, batch.moments, batch),
        lambda v, w: plain_moment_sums(v, w, batch.moments.double(), exact),
        [(batch.n_sites, K), (len(batch.pair_i), L * K)],
    )


def test_gate(batch: Batch) -> None:
    exact = replace(batch, pair_counts=batch.pair_counts.double())
    assert_same(
        lambda sites, radial: gpu.gated_sums(sites, radial, batch),
        lambda sites, radial: plain_gated_sums(sites[:, : 2 * G], sites[:, 2 * G :], radial, exact),
        [(batch.n_sites, 4 * G), (len(batch.pair_i), 2 * G)],
    )


@pytest.mark.parametrize("width", [30, 225])
def test_dense_layers_of_pairs(batch: Batch, width: int) -> None:
    """As near sites, far sites and pairs grow, mish reaches all of its branches."""
    E, N = len(batch.pair_i), batch.n_sites

    def fast(near: Tensor, far: Tensor, pairs: Tensor, weights: Tensor) -> Tensor:
        return sitenet_gpu.dense(3 * near, 3 * far, 9 * pairs, weights[0], weights[1], 1e-5, batch)

    def plain(near: Tensor, far: Tensor, pairs: Tensor, weights: Tensor) -> Tensor:
        sums = batch.near(3 * near) + batch.far(3 * far) + 9 * pairs
        return torch.nn.functional.layer_norm(torch.nn.functional.mish(sums), (width,), weights[0], weights[1], 1e-5)

    assert_same(fast, plain, [(N, width), (N, width), (E, width), (2, width)])


def test_mixing(batch: Batch) -> None:
    exact, N, E = replace(batch, pair_counts=batch.pair_counts.double()), batch.n_sites, len(batch.pair_i)

    def plain(logits: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        alpha = segment_softmax(logits, exact.pair_counts[:, None], batch.pair_i, N)
        return segment_sum(values[:, :, None] * alpha[:, None, :], batch.pair_i, N), alpha

    shapes = [(E, 3), (E, 30)]
    assert_same(lambda a, v: sitenet_gpu.mix(a, v, batch)[0], lambda a, v: plain(a, v)[0], shapes)
    logits, values = (torch.randn(shape, device=DEVICE) for shape in shapes)
    _, alpha = sitenet_gpu.mix(logits, values, batch)
    torch.testing.assert_close(alpha.double(), plain(logits.double(), values.double())[1], rtol=1e-5, atol=1e-6)


def test_widths_that_are_no_powers_of_two_and_cpus_take_the_plain_way() -> None:
    assert not gpu.supports(torch.zeros(1), 128, 8)
    assert not gpu.supports(torch.zeros(1, device=DEVICE), 96, 8)
    assert gpu.supports(torch.zeros(1, device=DEVICE), 128, 8) == (DEVICE.type == "cuda")


DENSE = {"N_F": 225, "F": 256, "P": 4}
MIX = {"N_H": 3, "H": 4, "N_V": 30, "V": 32, "P": 4}
SIZES: dict[str, dict[str, Any]] = {
    "sitenet_radial.attend": {"KEYS": True, "D": 128, "H": 8, "P": 8},
    "sitenet_radial.attend_backward": {"KEYS": False, "D": 128, "H": 8, "P": 8},
    "sitenet_radial.sum_moments": {"L": 3, "K": 32, "N_MOMENTS": 15, "M": 16, "P": 2},
    "sitenet_radial.sum_moments_backward": {"L": 3, "K": 32, "N_MOMENTS": 15, "M": 16, "P": 2},
    "sitenet_radial.sum_gated": {"G": 64, "P": 16},
    "sitenet_radial.sum_gated_backward": {"G": 64, "P": 16},
    "sitenet.dense": DENSE,
    "sitenet.dense_backward": DENSE,
    "sitenet.mix": MIX,
    "sitenet.mix_backward": MIX,
}
COMPILE = """
from importlib import import_module

from triton import compile
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

sizes = {sizes}
for name, constants in sizes.items():
    model, name = name.split(".")
    kernel = getattr(import_module(f"sitenet.models.{{model}}.gpu_kernels"), name)
    types = {{"row_starts": "*i64", "far_sites": "*i64", "scale": "fp32", "epsilon": "fp32"}}
    signature = {{a: "constexpr" if a in constants else types.get(a, "*fp32") for a in kernel.arg_names}}
    places = {{(kernel.arg_names.index(a),): value for a, value in constants.items()}}
    assert compile(ASTSource(kernel, signature, places), target=GPUTarget("cuda", 90, 32)).asm["cubin"]
"""


def test_the_kernels_compile_for_a_gpu() -> None:
    """In a process of its own, which does not interpret them; Triton brings its assembler."""
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    done = subprocess.run([sys.executable, "-c", COMPILE.format(sizes=SIZES)], check=False, env=environment)
    assert done.returncode == 0

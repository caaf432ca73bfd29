"""Learnt functions of the distance of a pair."""

from dataclasses import dataclass, field
from typing import Self

import torch
import torch.nn.functional as F  # noqa: N812 (torch's customary name)
from torch import Tensor, nn

KNOTS = 257


@dataclass(frozen=True)
class Places:
    """Where each pair lies between two knots of the radial functions.

    Attributes:
        knots: (E,) the knot below.
        fractions: (E,) distance to it in units of the spacing, 0 to 1.
        bases: For numbers n of Gaussians, (E, n + 1) Gaussians of the pairs and a 1, padded with zeros.
    """

    knots: Tensor
    fractions: Tensor
    bases: dict[int, Tensor] = field(default_factory=dict)

    @classmethod
    def between(cls, n_knots: int, u_E: Tensor) -> Self:
        """Places of numbers between 0 and 1 among `n_knots` equidistant knots from 0 to 1."""
        scaled_E = u_E * (n_knots - 1)
        # Whatever a distance is, the kernels must not read beyond the table; NaN goes on in the fraction.
        knots_E = scaled_E.long().clamp(0, n_knots - 2)
        return cls(knots_E, scaled_E - knots_E)

    def of(self, table_KF: Tensor) -> Tensor:
        """(E, F) functions tabulated at the knots, linear in between."""
        # `index_select` for the same reason as in `Batch.near`.
        below_EF, above_EF = table_KF.index_select(0, self.knots), table_KF.index_select(0, self.knots + 1)
        return torch.lerp(below_EF, above_EF, self.fractions[:, None].to(table_KF.dtype))


def gaussians_at_knots(n: int) -> Tensor:
    """(K, n) Gaussians with equidistant centres from 0 to 1, as wide as their spacing, at the knots."""
    knots_K1, centres = torch.linspace(0, 1, KNOTS)[:, None], torch.linspace(0, 1, n)
    return torch.exp(-(((knots_K1 - centres) * (n - 1)) ** 2) / 2)


class RadialFunctions(nn.Module):
    r"""Functions of distance, linear combinations of Gaussians in u = exp(-d / length).

    u falls from 1 at d = 0 to 0 at infinity, so the resolution is highest at bond lengths. The functions are
    tabulated at K equidistant knots in u and interpolated linearly. On a CPU a pair therefore costs two rows of the
    table, however many Gaussians there are.

    Args:
        n_gaussians: Number of Gaussians; their width is their spacing.
        n_functions: Number of functions.
    """

    gaussians: Tensor

    def __init__(self, n_gaussians: int, n_functions: int):
        super().__init__()
        self.register_buffer("gaussians", gaussians_at_knots(n_gaussians), persistent=False)
        self.mix = nn.Linear(n_gaussians, n_functions)

    def forward(self) -> Tensor:
        """(K, n_functions) values at the knots, in full precision even under autocast: one small product per block."""
        with torch.autocast(self.gaussians.device.type, enabled=False):
            return self.mix(self.gaussians)

    def at(self, places: Places) -> Tensor:
        """(E, n_functions) values of pairs: what `places.of` makes of the values at the knots.

        Interpolated are the Gaussians, once for all layers. A GPU is faster with one larger product than with rows of
        a table, and far faster backward, where many pairs would add to few rows. The bias takes part in the product:
        its gradient, a sum over all pairs, would cost more than the rest.
        """
        n = self.mix.in_features
        padding = (0, -(n + 1) % 4)  # products are slow where rows do not begin at multiples of 16 bytes
        if n not in places.bases:
            places.bases[n] = places.of(F.pad(F.pad(self.gaussians, (0, 1), value=1.0), padding))
        with torch.autocast(self.gaussians.device.type, enabled=False):
            weight = torch.cat([self.mix.weight, self.mix.bias[:, None]], dim=1)
            return F.linear(places.bases[n], F.pad(weight, padding))

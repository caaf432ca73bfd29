"""One crystal, explained by the networks that predict it: the command `sitenet explain`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sitenet.data.containers import read_limited
from sitenet.data.crystal import BadCrystal, Crystal
from sitenet.data.formula import standard_formula
from sitenet.data.structures.parse import parse_structure
from sitenet.errors import UserError, plain
from sitenet.features.featurize import featurize, neighbour_distances
from sitenet.features.point_set import PointSet
from sitenet.models.base.batch import Batch, collate
from sitenet.models.base.network import AttentionNetwork
from sitenet.prediction.explain.contributions import class_contributions, n_orders
from sitenet.prediction.explain.geometry import atoms, edges, strongest_pairs
from sitenet.prediction.explain.training_crystals import Neighbour, nearest_training_crystals
from sitenet.prediction.predictor import Predictor
from sitenet.settings.elements import SYMBOLS

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class SiteClass:
    """Sites that the networks cannot tell apart.

    Attributes:
        element: Their element.
        count: How many of the sites of the primitive cell they are.
        contribution: Of all of them together to the prediction, mean over the networks, in the unit of the target.
    """

    element: str
    count: int
    contribution: float


@dataclass(frozen=True)
class Explanation:
    """What the page says of a crystal.

    Attributes:
        id: The file.
        formula: Reduced formula.
        n_sites: Sites of the cell in the file.
        n_primitive: Sites of the primitive cell.
        reads: What a network sees of the crystal, in words.
        target: Name of the target.
        unit: Its unit.
        predictions: Name and prediction of each network.
        empty: What is predicted of nothing: the mean target of the training crystals, mean over the networks.
        classes: The site classes, in the order of the features.
        orders: Number of sampled orders that contributions are over; None for all orders.
        atoms: The atoms that are drawn.
        edges: The edges of the cell.
        heads: Block, head, and strongest pairs of each head of the first network.
        neighbours: Nearest training crystals; None where no training data were given.
    """

    id: str
    formula: str
    n_sites: int
    n_primitive: int
    reads: str
    target: str
    unit: str
    predictions: list[tuple[str, float]]
    empty: float
    classes: list[SiteClass]
    orders: int | None
    atoms: list[dict[str, object]]
    edges: list[list[list[float]]]
    heads: list[dict[str, Any]]
    neighbours: list[Neighbour] | None

    @property
    def prediction(self) -> float:
        """Mean over the networks."""
        return float(np.mean([value for _, value in self.predictions]))

    @property
    def spread(self) -> float | None:
        """Standard deviation over the networks, where there are several."""
        values = [value for _, value in self.predictions]
        return float(np.std(values, ddof=1)) if len(values) > 1 else None


def explain(path: Path, checkpoints: Sequence[Path], training: Path | None = None) -> Explanation:
    """Explains the prediction of a crystal in a structure file.

    Args:
        path: The structure file.
        checkpoints: Files `best.pt` of networks with attention, with the same target, unit and features.
        training: Folder of the data set that the first network was trained on, `results/data/<name>`.

    Raises:
        UserError: A file cannot be read, the crystal cannot be used, or a network has no attention.
    """
    predictors = _load(checkpoints)
    first = predictors[0]
    try:
        crystal = parse_structure(plain(path.name), path.name, _content(path))
        point_set = featurize(crystal, first.trial.features)
        cell, _ = neighbour_distances(crystal, first.trial.features)
    except BadCrystal as reason:
        raise UserError(f"{path}: {' '.join(str(reason).split())}") from None
    batch = collate([point_set], torch.float32).to(first.device)
    contributions = np.mean([_contributions(predictor, batch) for predictor in predictors], axis=0)
    classes = [
        SiteClass(SYMBOLS[z - 1], int(count), float(contribution))
        for z, count, contribution in zip(point_set.atomic_numbers, point_set.site_counts, contributions, strict=True)
    ]
    nearest = None if training is None else nearest_training_crystals(first, point_set, crystal, training)
    return Explanation(
        id=crystal.id,
        formula=standard_formula(crystal.atomic_numbers.tolist()),
        n_sites=len(crystal.atomic_numbers),
        n_primitive=len(cell.atomic_numbers),
        reads=_reads(point_set, first),
        target=first.description.target.replace("_", " "),
        unit=first.description.unit,
        predictions=[(_name(predictor), _predict(predictor, batch)) for predictor in predictors],
        empty=float(np.mean([_empty(predictor) for predictor in predictors])),
        classes=classes,
        orders=n_orders(len(classes)),
        atoms=atoms(cell, point_set),
        edges=edges(cell.lattice),
        heads=_heads(first, cell, point_set, batch),
        neighbours=nearest,
    )


def _load(checkpoints: Sequence[Path]) -> list[Predictor]:
    """The networks, which must have attention, and the same target, unit and features."""
    predictors = [Predictor.load(checkpoint) for checkpoint in checkpoints]
    first = predictors[0]
    for checkpoint, own in zip(checkpoints, predictors, strict=True):
        if not isinstance(own.model, AttentionNetwork):
            raise UserError(f"{checkpoint}: a network of kind '{own.trial.kind}' has no attention to explain")
        for what, one, other in (
            ("target", first.description.target, own.description.target),
            ("unit", first.description.unit, own.description.unit),
            ("feature set", first.trial.feature_id, own.trial.feature_id),
        ):
            if one != other:
                raise UserError(
                    f"{checkpoint} has the {what} {other}, but {checkpoints[0]} has {one}: an ensemble needs the same"
                )
    return predictors


def _content(path: Path) -> bytes:
    try:
        if not path.is_file():
            raise BadCrystal("missing file: no such file" if not path.exists() else "unreadable: it is no file")
        with path.open("rb") as file:
            return read_limited(file, path.name)
    except OSError as error:
        raise BadCrystal(f"unreadable: {error.strerror}") from None


@torch.inference_mode()
def _predict(predictor: Predictor, batch: Batch) -> float:
    return float(predictor.model(batch)[0])


def _name(predictor: Predictor) -> str:
    """A network without the folder of its file, which is nobody's business."""
    return f"{predictor.trial.kind} ({predictor.description.key})"


def _empty(predictor: Predictor) -> float:
    """Mean target of the training crystals; an imported network knows only what its last layer adds."""
    known = predictor.description.mean_target
    return float(predictor.model.scale.target_mean) if known is None else known


@torch.inference_mode()
def _contributions(predictor: Predictor, batch: Batch) -> Floats:
    network = predictor.model
    assert isinstance(network, AttentionNetwork)
    return class_contributions(network, network.site_states(batch), batch.site_counts, _empty(predictor))


def _heads(predictor: Predictor, cell: Crystal, point_set: PointSet, batch: Batch) -> list[dict[str, Any]]:
    """The strongest pairs of each head, and what it gives a site itself, mean over sites."""
    found = []
    share = np.repeat(point_set.site_counts / point_set.site_counts.sum(), point_set.row_counts)
    itself = point_set.distances == 0
    with torch.inference_mode():
        blocks = [block.double().cpu().numpy() for block in predictor.model.attention(batch)]
    for block, alpha_EH in enumerate(blocks, start=1):
        pairs = strongest_pairs(cell, point_set, alpha_EH / np.asarray(point_set.pair_counts)[:, None])
        own = (alpha_EH * share[:, None])[itself].sum(axis=0)
        found += [
            {"block": block, "head": head, "self": float(own[head - 1]), "pairs": strongest}
            for head, strongest in enumerate(pairs, start=1)
        ]
    return found


def _reads(point_set: PointSet, predictor: Predictor) -> str:
    """What the network sees of the crystal, in words."""
    settings, n_sites = predictor.trial.features, len(point_set.site_class)
    if settings.radius is not None:
        return f"all sites within {settings.radius:g} angstrom of each of {n_sites} sites"
    return f"a supercell of {n_sites * point_set.n_images} sites from each of {n_sites} sites"

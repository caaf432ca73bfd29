"""One crystal, explained by the networks that predict it: the command `sitenet explain`."""

from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sitenet.data.crystal import BadCrystal, Crystal
from sitenet.data.formula import standard_formula
from sitenet.data.structures.text import one_line
from sitenet.errors import UserError
from sitenet.features.featurize import featurize, neighbour_distances
from sitenet.features.point_set import PointSet
from sitenet.models.base.batch import Batch, collate
from sitenet.models.base.network import AttentionNetwork
from sitenet.prediction.card import DEFAULT
from sitenet.prediction.explain.contributions import class_contributions, n_orders
from sitenet.prediction.explain.geometry import atoms, edges, strongest_pairs
from sitenet.prediction.explain.training_crystals import Neighbour, nearest_training_crystals
from sitenet.prediction.inputs.places import open_inputs
from sitenet.prediction.model import Model, Predicted, columns_of, load_model
from sitenet.prediction.networks import ModelName
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
        model: Name of the model where it comes with the package, otherwise empty.
        target: Name of the target.
        unit: Its unit.
        decimals: Decimals of a prediction that mean something.
        predictions: Name and prediction of each network.
        more: What else the model says of the crystal: name and value.
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
    model: str
    target: str
    unit: str
    decimals: int
    predictions: list[tuple[str, float]]
    more: list[tuple[str, str]]
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


def explain(name: str, model: ModelName = DEFAULT, training: Path | None = None) -> Explanation:
    """Explains the prediction of one crystal.

    Args:
        name: What `sitenet predict` takes, with one crystal in it: a structure file for example.
        model: Networks with attention, as `load_model` takes them.
        training: Folder of the data set that the first network was trained on, `results/data/<name>`.

    Raises:
        UserError: A file cannot be read, the crystal cannot be used, there are several, or a network has no attention.
    """
    loaded, crystal = _load(model), _the_crystal(name)
    first = loaded.predictors[0]
    try:
        point_set = featurize(crystal, first.trial.features)
        cell, _ = neighbour_distances(crystal, first.trial.features)
    except BadCrystal as reason:
        raise UserError(f"{crystal.id}: {one_line(reason)}") from None
    batch = collate([point_set], torch.float32).to(first.device)
    members = np.array([[_predict(predictor, batch)] for predictor in loaded.predictors])
    if not np.isfinite(members).all():
        raise UserError(f"{crystal.id}: a network gives no number for this crystal")
    contributions = np.mean([_contributions(predictor, batch) for predictor in loaded.predictors], axis=0)
    classes = zip(point_set.atomic_numbers, point_set.site_counts, contributions, strict=True)
    nearest = None if training is None else nearest_training_crystals(first, point_set, crystal, training)
    return Explanation(
        id=Path(crystal.id).name,
        formula=standard_formula(crystal.atomic_numbers.tolist()),
        n_sites=len(crystal.atomic_numbers),
        n_primitive=len(cell.atomic_numbers),
        reads=_reads(point_set, first),
        model=loaded.name if loaded.pretrained else "",
        target=loaded.title.replace("_", " "),
        unit=loaded.unit,
        decimals=loaded.decimals,
        predictions=list(zip(map(_name, loaded.predictors), members[:, 0].tolist(), strict=True)),
        more=_more(loaded, Predicted([crystal], members)),
        empty=float(np.mean([_empty(predictor) for predictor in loaded.predictors])),
        classes=[SiteClass(SYMBOLS[z - 1], int(n), float(contribution)) for z, n, contribution in classes],
        orders=n_orders(len(contributions)),
        atoms=atoms(cell, point_set),
        edges=edges(cell.lattice),
        heads=_heads(first, cell, point_set, batch),
        neighbours=nearest,
    )


def _load(model: ModelName) -> Model:
    """A model, all of whose networks have attention."""
    loaded = load_model(model)
    for predictor in loaded.predictors:
        if not isinstance(predictor.model, AttentionNetwork):
            raise UserError(f"{loaded.name}: a network of kind '{predictor.trial.kind}' has no attention to explain")
    return loaded


def _the_crystal(name: str) -> Crystal:
    """The only crystal of a place."""
    items = list(islice(open_inputs([name]).items, 2))
    if len(items) != 1:
        found = "no crystal" if not items else "more than one crystal"
        raise UserError(f"{name} holds {found}: explain takes one")
    try:
        return items[0].crystal()
    except BadCrystal as reason:
        raise UserError(f"{items[0].id}: {one_line(reason)}") from None


def _more(model: Model, predicted: Predicted) -> list[tuple[str, str]]:
    """Intervals, the probability of a metal and flags, where the model is calibrated."""
    if model.uncertainty is None:
        return []
    columns = {name: values[0] for name, values in columns_of(model, predicted).items()}
    ends = {level: (columns[f"low_{level}"], columns[f"high_{level}"]) for level in ("80", "95")}
    found = [
        (f"{level} % interval", f"{low:.{model.decimals}f} to {high:.{model.decimals}f} {model.unit}")
        for level, (low, high) in ends.items()
        if np.isfinite(low)
    ]
    if np.isfinite(columns.get("metal", np.nan)):
        found.append(("probability of a metal", f"{100 * columns['metal']:.0f} %"))
    return [*found, ("flags", columns["flags"] or "none")]


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

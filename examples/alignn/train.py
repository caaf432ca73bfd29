"""ALIGNN of the package alignn, trained from scratch: an example of another package's network.

It needs alignn and what comes with it, nothing of sitenet. The contract is on the page docs/external.md.
"""

import csv
import gzip
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import torch
from alignn.models.alignn_atomwise_pure import ALIGNNAtomWisePure, ALIGNNAtomWisePureConfig
from alignn.torch_graph_builder import TorchGraph, batch_torch_graph_pairs, build_pure_torch_graph
from jarvis.core.atoms import Atoms
from torch import Tensor, nn

CUTOFF = 5.0  # angstrom
NEIGHBOURS = 12  # of each atom, the nearest ones
ANGLES = 3.5  # angstrom: angles are between bonds shorter than this
Graph = tuple[TorchGraph, TorchGraph]  # of atoms, and of bonds
Part = tuple[list[Graph], Tensor]  # crystals, and their targets in units of the standard deviation


def graph_of(crystal: dict, cutoff: float) -> Graph:
    """The two graphs of a crystal of pymatgen."""
    atoms = Atoms(
        lattice_mat=crystal["lattice"]["matrix"],
        coords=[site["abc"] for site in crystal["sites"]],
        elements=[site["species"][0]["element"] for site in crystal["sites"]],
    )
    return build_pure_torch_graph(atoms, cutoff, min(ANGLES, cutoff), NEIGHBOURS, use_matscipy_topology=False)


def prepare(structures: Path, cutoff: float) -> tuple[dict[str, Graph], ALIGNNAtomWisePure]:
    """The graphs of every crystal by id, and a network for them."""
    found = json.loads(gzip.decompress(structures.read_bytes()))
    graphs = {id_: graph_of(crystal, cutoff) for id_, crystal in found.items()}
    width = next(iter(graphs.values()))[0].ndata["atom_features"].shape[1]
    config = ALIGNNAtomWisePureConfig(name="alignn_atomwise_pure", atom_input_features=width, calculate_gradient=False)
    return graphs, ALIGNNAtomWisePure(config)


def outputs(model: ALIGNNAtomWisePure, graphs: list[Graph]) -> Tensor:
    """What the network says of some crystals."""
    atoms, bonds = batch_torch_graph_pairs(graphs)
    return model((atoms, bonds, None))["out"]


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

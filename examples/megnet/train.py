"""MEGNet of the package matgl, trained from scratch: an example of another package's network.

It needs matgl and what comes with it, nothing of sitenet. The contract is on the page docs/external.md.
"""

import csv
import gzip
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import torch
from matgl.ext.pymatgen import Structure2Graph, get_element_list
from matgl.models import MEGNet
from pymatgen.core import Structure
from torch import Tensor, nn
from torch_geometric.data import Batch
from torch_geometric.data import Data as Graph

CUTOFF = 4.0  # angstrom
Part = tuple[list[Graph], Tensor]  # crystals, and their targets in units of the standard deviation
STATE = torch.zeros(2)  # MEGNet's state of a crystal: nothing is known of it


def prepare(structures: Path, cutoff: float) -> tuple[dict[str, Graph], MEGNet]:
    """The graph of every crystal by id, and a network for their elements."""
    found = json.loads(gzip.decompress(structures.read_bytes()))
    crystals = {id_: Structure.from_dict(crystal) for id_, crystal in found.items()}
    elements = get_element_list(list(crystals.values()))
    converter, graphs = Structure2Graph(elements, cutoff), {}
    for id_, crystal in crystals.items():
        graph, lattices, _ = converter.get_graph(crystal)
        lattice = lattices[0]
        position, shift = graph.frac_coords @ lattice, graph.pbc_offset @ lattice
        graphs[id_] = Graph(
            node_type=graph.node_type, edge_index=graph.edge_index.long(), pos=position, pbc_offshift=shift
        )
    return graphs, MEGNet(element_types=elements, cutoff=cutoff)


def outputs(model: MEGNet, graphs: list[Graph]) -> Tensor:
    """What the network says of some crystals."""
    return model(Batch.from_data_list(graphs), STATE.expand(len(graphs), -1)).reshape(-1)


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

"""MEGNet of the package matgl, trained from scratch: an example of another package's network.

It needs matgl and what comes with it, nothing of sitenet. The contract is on the page docs/external.md.
"""

import csv
import gzip
import json
import sys
from pathlib import Path

import torch
from matgl.ext.pymatgen import Structure2Graph, get_element_list
from matgl.models import MEGNet
from pymatgen.core import Structure
from torch_geometric.data import Batch, Data

STATE = torch.zeros(2)  # MEGNet's state of a crystal: nothing is known of it


def graphs_of(structures: Path, cutoff: float) -> tuple[dict[str, Data], tuple[str, ...]]:
    """The graph of every crystal by id, and the elements in the order in which graphs number them."""
    found = json.loads(gzip.decompress(structures.read_bytes()))
    crystals = {id_: Structure.from_dict(crystal) for id_, crystal in found.items()}
    elements = get_element_list(list(crystals.values()))
    converter, graphs = Structure2Graph(elements, cutoff), {}
    for id_, crystal in crystals.items():
        graph, lattices, _ = converter.get_graph(crystal)
        lattice = lattices[0]
        position, shift = graph.frac_coords @ lattice, graph.pbc_offset @ lattice
        graphs[id_] = Data(
            node_type=graph.node_type, edge_index=graph.edge_index.long(), pos=position, pbc_offshift=shift
        )
    return graphs, elements


def read(path: Path) -> tuple[list[str], torch.Tensor]:
    """Ids and targets of a part; of the test part, no targets."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [row["id"] for row in rows], torch.tensor([float(row.get("target") or "nan") for row in rows])


class Part:
    """Crystals with their targets.

    Args:
        path: Table of ids and targets.
        graphs: Graphs by id.
    """

    def __init__(self, path: Path, graphs: dict[str, Data]):
        self.ids, self.targets = read(path)
        self.graphs = [graphs[id_] for id_ in self.ids]

    def predict(self, model: torch.nn.Module, places: list[int]) -> torch.Tensor:
        """Predictions of the network for some crystals, in units of the targets' standard deviation."""
        batch = Batch.from_data_list([self.graphs[place] for place in places])
        return model(batch, STATE.expand(len(places), -1)).reshape(-1)


@torch.no_grad()
def predictions(model: torch.nn.Module, part: Part, size: int) -> torch.Tensor:
    """Predictions for all crystals of a part, so many at a time."""
    model.eval()
    places = range(len(part.ids))
    return torch.cat([part.predict(model, list(places[start : start + size])) for start in places[::size]])


def main(work: Path) -> None:
    """Trains on train.csv, keeps the epoch that is best on validation.csv, and predicts."""
    settings = json.loads((work / "settings.json").read_text())
    own = {"epochs": 100, "learning_rate": 1e-3, "batch_size": 64, "cutoff": 4.0} | settings["parameters"]
    torch.manual_seed(settings["seed"])
    torch.set_num_threads(settings["threads"])
    graphs, elements = graphs_of(work / "structures.json.gz", own["cutoff"])
    train, validation, test = (Part(work / f"{name}.csv", graphs) for name in ("train", "validation", "test"))
    mean, std = train.targets.mean(), train.targets.std()
    model = MEGNet(element_types=elements, cutoff=own["cutoff"])
    optimiser = torch.optim.AdamW(model.parameters(), lr=own["learning_rate"])
    steps = own["epochs"] * -(-len(train.ids) // own["batch_size"])
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, own["learning_rate"], total_steps=steps)
    state, first, best = work / "checkpoint.pt", 1, (float("inf"), model.state_dict())
    if state.exists():  # an interrupted run goes on
        first, best, *states = torch.load(state, weights_only=False)
        for thing, saved in zip((model, optimiser, schedule), states, strict=True):
            thing.load_state_dict(saved)
    for epoch in range(first, own["epochs"] + 1):
        model.train()
        order = torch.randperm(len(train.ids), generator=torch.Generator().manual_seed(epoch)).tolist()
        for start in range(0, len(order), own["batch_size"]):
            some = order[start : start + own["batch_size"]]
            loss = (train.predict(model, some) - (train.targets[some] - mean) / std).abs().mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
        error = float((predictions(model, validation, 256) * std + mean - validation.targets).abs().mean())
        if error < best[0]:
            best = error, {name: tensor.clone() for name, tensor in model.state_dict().items()}
        torch.save((epoch + 1, best, *(thing.state_dict() for thing in (model, optimiser, schedule))), f"{state}.part")
        Path(f"{state}.part").replace(state)
        print(f"epoch {epoch}/{own['epochs']}, validation MAE {error:.3f} {settings['unit']}", flush=True)
    model.load_state_dict(best[1])
    with (work / "predictions.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "prediction"])
        for part in (validation, test):
            writer.writerows(zip(part.ids, (predictions(model, part, 256) * std + mean).tolist(), strict=True))


if __name__ == "__main__":
    main(Path(sys.argv[1]))

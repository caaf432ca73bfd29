"""Trains a network of another package from scratch: `train.py NAME`, with the graphs and the network of with_NAME.py.

It needs that package and what comes with it, nothing of sitenet. The contract is on the page docs/external.md.
For another package of PyTorch, copy one of the modules: they have `CUTOFF`, `prepare` and `outputs`.
"""

import csv
import gzip
import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor, nn

Part = tuple[list, Tensor]  # graphs of crystals, and their targets in units of the standard deviation


def package_of(name: str) -> ModuleType:
    """The module of a network, which imports its package."""
    known = sorted(path.stem.removeprefix("with_") for path in Path(__file__).parent.glob("with_*.py"))
    if name not in known:
        sys.exit(f"unknown network: {name}; known are {', '.join(known)}")
    return importlib.import_module(f"with_{name}")


def read(path: Path) -> tuple[list[str], Tensor]:
    """Ids and targets of a part; of the test part, no targets."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [row["id"] for row in rows], torch.tensor([float(row.get("target") or "nan") for row in rows])


@torch.no_grad()
def predictions(package: ModuleType, model: nn.Module, graphs: list, size: int = 256) -> Tensor:
    """Predictions for many crystals, so many at a time."""
    model.eval()
    return torch.cat([package.outputs(model, graphs[start : start + size]) for start in range(0, len(graphs), size)])


def epochs(
    package: ModuleType, model: nn.Module, train: Part, validation: Part, own: dict, state: Path
) -> Iterator[tuple[int, float]]:
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
            loss = (package.outputs(model, [graphs[place] for place in some]) - targets[some]).abs().mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
        error = float((predictions(package, model, validation[0]) - validation[1]).abs().mean())
        if error < best[0]:
            best = error, {name: tensor.clone() for name, tensor in model.state_dict().items()}
        torch.save((epoch + 1, best, *(thing.state_dict() for thing in kept)), f"{state}.part")
        Path(f"{state}.part").replace(state)
        yield epoch, error
    model.load_state_dict(best[1])


def main(name: str, work: Path) -> None:
    """Trains on train.csv, keeps the epoch that is best on validation.csv, and predicts."""
    package = package_of(name)
    settings = json.loads((work / "settings.json").read_text())
    own = {"epochs": 100, "learning_rate": 1e-3, "batch_size": 64, "cutoff": package.CUTOFF}
    if unknown := settings["parameters"].keys() - own.keys():
        sys.exit(f"unknown parameters: {', '.join(sorted(unknown))}; known are {', '.join(own)}")
    own |= settings["parameters"]
    torch.manual_seed(settings["seed"])
    torch.set_num_threads(settings["threads"])
    crystals = json.loads(gzip.decompress((work / "structures.json.gz").read_bytes()))
    graphs, model = package.prepare(crystals, own["cutoff"])
    (ids, targets), (validation_ids, validation_targets) = read(work / "train.csv"), read(work / "validation.csv")
    mean, std = targets.mean(), targets.std()
    train = [graphs[id_] for id_ in ids], (targets - mean) / std
    validation = [graphs[id_] for id_ in validation_ids], (validation_targets - mean) / std
    for epoch, error in epochs(package, model, train, validation, own, work / "checkpoint.pt"):
        print(f"epoch {epoch}/{own['epochs']}, validation MAE {error * std:.3f} {settings['unit']}", flush=True)
    wanted = validation_ids + read(work / "test.csv")[0]
    found = predictions(package, model, [graphs[id_] for id_ in wanted]) * std + mean
    with (work / "predictions.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "prediction"])
        writer.writerows(zip(wanted, found.tolist(), strict=True))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[-1]))

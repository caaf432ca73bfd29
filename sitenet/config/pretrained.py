"""Networks that come with the package, by the name of their model: where a training starts, or what predicts."""

from pathlib import Path

PRETRAINED = Path(__file__).parents[1] / "pretrained"


def pretrained_names() -> list[str]:
    """Names of the models that come with the package."""
    return sorted({path.parent.name for path in PRETRAINED.glob("*/seed*.pt")})


def pretrained_networks(name: str) -> list[Path]:
    """Checkpoints of a model that comes with the package, in the order of their seeds; none where it does not."""
    return sorted((PRETRAINED / name).glob("seed*.pt"), key=lambda path: int(path.stem.removeprefix("seed")))


def starting_network(start_from: str, seed: int) -> Path:
    """The checkpoint that `training.start_from` names for a seed: a network of a model in turn, or a file."""
    networks = pretrained_networks(start_from)
    return networks[seed % len(networks)] if networks else Path(start_from)

"""Model cards: what a model that comes with the package is, learnt from, costs and gets wrong; light to import.

A model is a folder of `sitenet/pretrained`, named as the model:

    band-gap/about.yaml    what a person says of it: title, functional, licence, limits
    band-gap/card.json     what `tools/ship_model.py` measured, with the checksum of every file of numbers
    band-gap/seed0.pt      its networks, in half precision

Whatever else predictions need is a file of this folder too, and is listed with its checksum in `card.json`.
"""

from pathlib import Path
from typing import Any, ClassVar

import yaml

from sitenet.config.pretrained import PRETRAINED, pretrained_names
from sitenet.errors import UserError
from sitenet.records import FileRecord, Record
from sitenet.settings.problems import unknown, validate
from sitenet.settings.section import Section

DEFAULT = "band-gap"
CARD, ABOUT = "card.json", "about.yaml"


class About(Section):
    """What a person says of a model.

    Attributes:
        title: The property, such as "band gap".
        functional: The method that computed the targets, such as "PBE".
        licence: Terms of the networks and of the data behind them.
        citations: What to cite where the model is used.
        ranges: Where the ranges of the target end for which the error is given, in its unit.
        limits: What it cannot do, one sentence or a few each, in Markdown.
    """

    title: str
    functional: str
    licence: str
    citations: tuple[str, ...]
    ranges: tuple[float, ...]
    limits: tuple[str, ...]


class Score(Record):
    """MAE on some test crystals with its 95 % interval, in the unit of the target; NaN ends where there is none.

    Attributes:
        name: Which crystals, such as "0" or "1 to 2".
    """

    name: str
    crystals: int
    mae: float
    low: float
    high: float


class FlagScore(Score):
    """MAE on the test crystals with a flag, and the share of their targets in the intervals of 95 %."""

    coverage: float


class Coverage(Record):
    """How often intervals contain the target, on test crystals that calibrated nothing.

    Attributes:
        name: Which predictions, such as "0.5 to 1".
        shares: Share of the targets inside, by level, such as 0.95.
        widths: Median width of the intervals by level, in the unit of the target.
    """

    name: str
    crystals: int
    shares: dict[str, float]
    widths: dict[str, float]


class MetalShare(Record):
    """Crystals with similar probabilities of a metal: their mean, and the share that are metals."""

    name: str
    crystals: int
    probability: float
    share: float


class NetworkFacts(Record):
    """One network of a model, and what it cost.

    Attributes:
        file: Its file in the model's folder.
        validation_mae: In the unit of the target.
    """

    file: str
    seed: int
    parameters: int
    epochs: int | None
    seconds: float
    peak_memory_mb: float
    validation_mae: float


class TrainingData(Record):
    """What the networks learnt from and were tested on.

    Attributes:
        structures_sha256: Checksum of the crystals as the workflow keeps them.
        elements: Number of training crystals with each element, by symbol.
        test_formulas: Number of different reduced formulas among the test crystals.
    """

    name: str
    version: str
    url: str
    structures_sha256: str
    licence: str
    citation: str
    fold: int
    train: int
    validation: int
    test: int
    test_formulas: int
    elements: dict[str, int]


class ModelCard(FileRecord):
    """The measured part of a model's card.

    Attributes:
        target: Name of the target in the data.
        unit: Its unit.
        kind: Model kind of the networks.
        settings: Settings of the networks that are not defaults, by dotted name.
        test: Error on the test crystals.
        rmse: Root of the mean squared error on them.
        ranges: The same by range of the target.
        coverage: Of the intervals that come with predictions; empty where none do.
        metals: Of the probability of a metal.
        flags: Errors of flagged crystals.
        hardware: What the networks were trained on.
        versions: Of the packages that trained them.
    """

    remedy: ClassVar[str] = "install sitenet again"
    target: str
    unit: str
    kind: str
    settings: dict[str, Any]
    data: TrainingData
    networks: tuple[NetworkFacts, ...]
    test: Score
    rmse: float
    ranges: tuple[Score, ...]
    coverage: tuple[Coverage, ...] = ()
    metals: tuple[MetalShare, ...] = ()
    flags: tuple[FlagScore, ...] = ()
    hardware: dict[str, str | int]
    versions: dict[str, str]


class PretrainedModel:
    """A model's folder, such as those that come with the package.

    Attributes:
        name: Name of the model.
        folder: Where its files are.
        card: What was measured.
        about: What a person says of it.
    """

    def __init__(self, folder: Path):
        """Reads both parts of the card, and checks the networks.

        Raises:
            UserError: A file is missing or not as it was written.
        """
        self.folder, self.name = folder, folder.name
        self.card = ModelCard.read(folder / CARD)
        self.card.check(folder / CARD, self.card.files)
        self.about = read_about(folder / ABOUT)

    @property
    def networks(self) -> list[Path]:
        """Files of its networks."""
        return [self.folder / network.file for network in self.card.networks]

    @property
    def megabytes(self) -> float:
        """Size of the files in MB."""
        return sum((self.folder / name).stat().st_size for name in self.card.files) / 1e6


def read_about(path: Path) -> About:
    """The part of a card that a person writes.

    Raises:
        UserError: It is missing, no YAML, or a part of it is missing.
    """
    try:
        return validate(About, yaml.safe_load(path.read_text("utf-8")), "")
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path} is no YAML: {' '.join(str(error).split())}") from None
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def pretrained_model(name: str) -> PretrainedModel:
    """A model that comes with the package.

    Raises:
        UserError: There is none of this name, or its files are damaged.
    """
    if name not in pretrained_names():
        raise UserError(unknown("model", name, pretrained_names()))
    return PretrainedModel(PRETRAINED / name)

"""Model cards as text: a table of all models, and the card of one in Markdown; light to import."""

from tabulate import tabulate

from sitenet.evaluation.tables.rounding import duration, measured
from sitenet.prediction.card import PretrainedModel, Score, pretrained_model, pretrained_names


def list_models() -> str:
    """One line for each model that comes with the package."""
    headers = ("model", "predicts", "trained on", "test MAE, 95 % interval", "elements", "size")
    return tabulate([_line(pretrained_model(name)) for name in pretrained_names()], headers, "plain")


def _line(model: PretrainedModel) -> list[str]:
    card, data = model.card, model.card.data
    return [
        model.name,
        f"{model.about.title}, {model.about.functional}",
        f"{data.train:,} crystals of {data.name}",
        f"{_error(card.test)} {card.unit}",
        str(len(data.elements)),
        f"{model.megabytes:.1f} MB",
    ]


def show_model(name: str) -> str:
    """The card of a model in Markdown.

    Raises:
        UserError: There is none of this name, or its files are damaged.
    """
    return markdown_card(pretrained_model(name))


def markdown_card(model: PretrainedModel, level: int = 1) -> str:
    """A card in Markdown, with its title as a heading of this level."""
    sections = {
        "Errors": _errors(model),
        **({"Intervals and flags": _uncertainty(model)} if model.card.coverage else {}),
        "Limits": "\n".join(f"- {limit}" for limit in model.about.limits),
        "Data": _data(model),
        "Recipe and cost": _recipe(model),
        "Licence and citation": "\n".join(
            [model.about.licence, "", *(f"- {citation}" for citation in model.about.citations)]
        ),
        "Files": _files(model),
    }
    card = model.card
    head = (
        f"{'#' * level} {model.name}\n\n"
        f"Predicts the {model.about.title} in {card.unit} as {model.about.functional} computes it: the mean of "
        f"{len(card.networks)} networks of kind `{card.kind}`."
    )
    return "\n\n".join([head, *(f"{'#' * (level + 1)} {title}\n\n{text}" for title, text in sections.items())])


def _errors(model: PretrainedModel) -> str:
    card, data = model.card, model.card.data
    rows = [[f"{score.name} {card.unit}", f"{score.crystals:,}", _error(score)] for score in card.ranges]
    rows.append(["**all**", f"{card.test.crystals:,}", f"**{_error(card.test)}**"])
    table = tabulate(rows, (model.about.title, "test crystals", f"MAE ({card.unit}), 95 % interval"), "github")
    return (
        f"On the {card.test.crystals:,} test crystals of fold {data.fold} of `{data.name}`, which no network saw in "
        f"training. RMSE {card.rmse:.3f} {card.unit}. Intervals resample the {data.test_formulas:,} formulas."
        f"\n\n{table}"
    )


def _uncertainty(model: PretrainedModel) -> str:
    card = model.card
    levels = list(card.coverage[0].shares)
    headers = ["prediction", "crystals"]
    headers += [text for level in levels for text in (f"inside {level} %", f"median width ({card.unit})")]
    rows = [
        [one.name, f"{one.crystals:,}"]
        + [text for k in levels for text in (f"{100 * one.shares[k]:.1f} %", f"{one.widths[k]:.2f}")]
        for one in card.coverage
    ]
    metals = [[one.name, f"{one.crystals:,}", f"{one.probability:.3f}", f"{one.share:.3f}"] for one in card.metals]
    flags = [[one.name, f"{one.crystals:,}", _error(one), f"{100 * one.coverage:.1f} %"] for one in card.flags]
    parts = [
        "Conformal intervals, calibrated on the test crystals, hold the target with a probability of 80 or 95 %. How "
        "often they do was measured on crystals that calibrated nothing: intervals from one half of the formulas, "
        "tested on the other, ten times. Crystals that were never in the half that is tested are left out.",
        tabulate(rows, headers, "github", disable_numparse=True),
    ]
    if metals:
        parts += [
            "Among test crystals with such a probability of a metal, so many are metals:",
            tabulate(metals, ("probability", "crystals", "mean", "metals"), "github", disable_numparse=True),
        ]
    parts += [
        "Errors of test crystals by what is flagged:",
        tabulate(flags, ("flag", "crystals", f"MAE ({card.unit})", "inside 95 %"), "github", disable_numparse=True),
    ]
    return "\n\n".join(parts)


def _data(model: PretrainedModel) -> str:
    data = model.card.data
    elements = sorted(data.elements, key=lambda symbol: -data.elements[symbol])
    return "\n".join(
        [
            f"- `{data.name}`, {data.version}: <{data.url}>",
            f"- SHA-256 of the crystals as the workflow keeps them: `{data.structures_sha256}`",
            f"- {data.train:,} crystals for training, {data.validation:,} for validation, {data.test:,} for testing",
            f"- target: {model.card.target}",
            f"- {len(elements)} elements, by the number of training crystals: "
            + ", ".join(f"{symbol} {data.elements[symbol]:,}" for symbol in elements),
        ]
    )


def _recipe(model: PretrainedModel) -> str:
    card = model.card
    settings = ", ".join(f"`{name}: {value}`" for name, value in card.settings.items())
    rows = [
        [
            network.seed,
            f"{network.parameters:,}",
            network.epochs,
            f"{network.validation_mae:.3f}",
            duration(network.seconds),
            f"{network.peak_memory_mb / 1024:.1f} GB",
        ]
        for network in card.networks
    ]
    headers = ("seed", "parameters", "epochs", f"validation MAE ({card.unit})", "training", "memory")
    hardware = ", ".join(f"{name} {value}" for name, value in card.hardware.items())
    versions = ", ".join(f"{name} {value}" for name, value in card.versions.items())
    return (
        f"Settings that are not defaults: {settings}.\n\n{tabulate(rows, headers, 'github')}\n\n"
        f"Trained on: {hardware}. With {versions}."
    )


def _files(model: PretrainedModel) -> str:
    rows = [
        [f"`{name}`", f"{(model.folder / name).stat().st_size / 1e6:.2f} MB", f"`{checksum}`"]
        for name, checksum in model.card.files.items()
    ]
    return tabulate(rows, ("file", "size", "SHA-256"), "github")


def _error(score: Score) -> str:
    return measured(score.mae, score.low, score.high)

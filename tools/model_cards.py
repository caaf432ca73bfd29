"""Writes docs/pretrained.md, the cards of the models that come with the package: `python -m tools.model_cards`."""

from pathlib import Path

from sitenet.files import write_text
from sitenet.prediction.card import pretrained_model, pretrained_names
from sitenet.prediction.card_text import markdown_card

PAGE = Path(__file__).parents[1] / "docs" / "pretrained.md"
INTRODUCTION = """\
# Models that come with sitenet

This page is written by `python -m tools.model_cards`. `sitenet models` lists the models, and `sitenet models band-gap`
prints the card below. [Predicting](predict.md) says how to use them, and [five textbook solids](textbook_solids.md)
what to expect. Their files are in [`sitenet/pretrained`](../sitenet/pretrained/band-gap/card.json).
"""


def page() -> str:
    """The whole page."""
    cards = [markdown_card(pretrained_model(name), level=2) for name in pretrained_names()]
    return "\n".join([INTRODUCTION, *cards]) + "\n"


if __name__ == "__main__":
    write_text(PAGE, page())

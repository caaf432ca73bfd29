"""Reasons to doubt a prediction, or to know its answer already."""

from collections.abc import Iterator

from sitenet.prediction.uncertainty.sketch import Sketch
from sitenet.prediction.uncertainty.training_set import TrainingSet
from sitenet.settings.elements import SYMBOLS

RARE = 20  # training crystals; an element in fewer is called rare


def flags(crystal: Sketch, spread: float, training: TrainingSet, high_spread: float) -> Iterator[str]:
    """The flags of one prediction, each a name with what was found: "element: Og in no training crystal".

    The first two say that the training set has the crystal or its formula. The others say that the crystal is unlike
    those that the model has learnt from, or that its networks disagree.
    """
    formulas, structures = training.count(crystal)
    if structures:
        yield "known structure"
    elif formulas:
        yield f"known formula: {formulas} other structure{'s' if formulas > 1 else ''} in training"
    for z in crystal.elements:
        if (n := int(training.elements[z])) < RARE:
            yield f"element: {SYMBOLS[z - 1]} in {n or 'no'} training crystal{'s' if n > 1 else ''}"
    if found := training.too_short(crystal):
        pair, distance, known = found
        names = "-".join(SYMBOLS[z - 1] for z in divmod(pair, 1000))
        yield f"distance: {names} {distance:.2f} angstrom, at least {known:.2f} in training"
    ratio, (least, most) = training.volume_ratio(crystal), training.ratios.tolist()
    if not least <= ratio <= most and ratio == ratio:
        yield f"density: {ratio:.2f} of the usual volume, {least:.2f} to {most:.2f} in training"
    if crystal.n_sites > training.n_sites[0]:
        yield f"size: {crystal.n_sites} sites, at most {training.n_sites[0]} in training"
    if spread > high_spread:
        yield "spread: the networks disagree"

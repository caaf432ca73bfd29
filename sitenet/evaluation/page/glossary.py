"""Words of the page, in a sentence each; docs/glossary.md has more."""

from sitenet.tasks import TaskName

_SCORES: dict[TaskName, dict[str, str]] = {
    "regression": {
        "MAE": "Mean absolute error over the test crystals, the mean over folds; the models are ranked by it.",
        "RMSE": "Root of the mean squared error over the test crystals; large errors count for more than in the MAE.",
        "parity": "Predicted against reference values; a perfect model has all crystals on the line.",
    },
    "classification": {
        "ROC-AUC": "Area under the ROC curve: how often a crystal of class 1 has a larger probability than one of "
        "class 0. Guessing has 0.5. The mean over folds ranks the models.",
        "log loss": "Mean of -log of the probability that a model gave the class of a crystal; it chooses epochs and "
        "trials by validation crystals.",
        "Brier score": "Mean of the squared difference of the probability of class 1 and the class, 0 or 1.",
        "F1": "Harmonic mean of precision and recall of class 1, which is predicted above a probability of 0.5.",
        "balanced accuracy": "Mean over both classes of the share of their crystals that is predicted right.",
        "calibration error": "How far probabilities are from the share of class 1 among crystals with about that "
        "probability, mean over crystals.",
    },
}
_WORDS = {
    "95 % interval": "Had other test crystals been drawn, 95 of 100 such intervals would contain the true error of "
    "these trained models. It leaves out what training again would change.",
    "tied": "The difference to the best model, on the same crystals, is within noise (p > 0.05, corrected for all "
    "pairs of ranked models).",
    "fold": "One division of the crystals into a training part and a test part.",
    "test crystals": "Crystals that play no part in any choice; all errors of models are errors on them.",
    "validation": "Crystals set aside from the training part, which choose the epoch and the trial of a network.",
    "trial": "One model kind with one choice of settings; its id follows from them.",
    "run": "One training of one trial on one fold with one seed.",
    "seed": "The number that starts the random generator of a training.",
    "ensemble": "Networks of one trial with different seeds, whose predictions are averaged before they are scored.",
    "baseline": "A simple model that puts the errors of the networks into proportion.",
    "not trained here": "Predictions that were made elsewhere and read from a file, for the same test crystals.",
    "epoch": "One pass over the training crystals.",
    "Pareto front": "The models that no other one beats both in cost and in error.",
    "formula in training": "The reduced formula of a test crystal occurs in the training part of its fold.",
    "crystal system": "Found by spglib within 0.01 angstrom, from cubic (most symmetric) to triclinic.",
    "site": "The place of one atom in the cell; sites are counted in the cell as the data set gives it.",
}


_SHIFT = {
    "held out": "Left out of training, such as all crystals with an element, to see how well a model predicts what is "
    "unlike everything it has seen.",
}


def glossary(task: TaskName, shift: bool = False) -> dict[str, str]:
    """The words with what they mean: those of the task's scores first; `shift` where benchmarks are compared."""
    return _SCORES[task] | _WORDS | (_SHIFT if shift else {})

"""Networks and baselines that learn classes: losses, probabilities, what is kept, and what a run leaves."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sitenet.config.trial import Trial
from sitenet.errors import UserError
from sitenet.evaluation.statistics import classification
from sitenet.features.store import FeatureStore
from sitenet.history import HistoryRow, read_history
from sitenet.models.base.network import ClassScale, TargetScale, for_task
from sitenet.models.dummy.settings import DummySettings
from sitenet.models.random_forest.settings import RandomForestSettings
from sitenet.models.registry import default_model, kinds_of_role, model_kinds
from sitenet.models.sklearn.settings import SklearnSettings
from sitenet.prediction.model import load_model
from sitenet.prediction.predictor import Predictor, predict
from sitenet.records import RunResult
from sitenet.settings.section import Section
from sitenet.settings.training import TrainingSettings
from sitenet.tasks import CLASSIFICATION, REGRESSION
from sitenet.training.baseline import fit_baseline
from sitenet.training.checkpoint import load_best
from sitenet.training.recorded import RecordedGradients, Size
from sitenet.training.resident import ResidentPointSets
from sitenet.training.run import TrainJob, train
from sitenet.training.start import start_from
from sitenet.training.trainer import Trainer
from sitenet.training.training_data import read_training_data
from tests.real_crystals import crystals
from tests.training_case import NETWORK, RADIAL_NETWORK, RECIPE, Inputs, write_inputs

NETWORKS = {
    "sitenet": NETWORK.model_copy(update={"elemental_scaling": "standardised"}),
    "sitenet_radial": RADIAL_NETWORK,
}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    """Forty crystals with the class of a gap above the median."""
    found = write_inputs(tmp_path_factory.mktemp("inputs"))
    frame = pd.read_parquet(found.fold_table)
    frame["target"] = (frame["target"] > frame["target"].median()).astype(float)
    frame.to_parquet(found.fold_table)
    return found


def job(inputs: Inputs, folder: Path, network: Section = NETWORK, **recipe: Any) -> TrainJob:
    own = inputs.job(folder, network, **recipe)
    return replace(own, target="wide gap", unit="", non_negative=False, task="classification")


def test_the_last_layer_learns_logits_and_predicts_probabilities() -> None:
    scale, raw = ClassScale(), torch.linspace(-5, 5, 11)
    assert torch.equal(scale.train()(raw), raw)
    torch.testing.assert_close(scale.eval()(raw), 1 / (1 + torch.exp(-raw)))
    target = (torch.arange(11) % 2).float()
    losses = scale.losses("l1", raw, target)
    assert float(losses.mean()) == pytest.approx(
        classification.log_loss(target.double().numpy(), raw.double().sigmoid().numpy()), rel=1e-6
    )
    assert torch.equal(losses, scale.errors(raw, target))
    huge = scale.losses("l1", torch.tensor([200.0]), torch.tensor([0.0]))
    assert float(huge) == 200.0  # a probability of 1 has no digits left for that


@pytest.mark.parametrize("kind", sorted(kinds_of_role("network")))
def test_every_network_can_classify(kind: str) -> None:
    network, plain = (default_model(kind, False) for _ in range(2))
    assert for_task(network, REGRESSION) is network
    assert type(network.scale) is TargetScale
    assert isinstance(for_task(network, CLASSIFICATION).scale, ClassScale)
    assert list(plain.state_dict()) == list(network.state_dict())


@pytest.mark.parametrize("kind", NETWORKS)
def test_a_network_learns_classes_and_leaves_probabilities(inputs: Inputs, tmp_path: Path, kind: str) -> None:
    own = job(inputs, tmp_path, NETWORKS[kind], max_epochs=40)
    result = train(own)
    history = read_history(tmp_path)
    first, last = history[0], history[-1]
    assert first.train_error is not None
    assert last.train_error is not None
    assert last.train_error < 0.75 * first.train_error
    assert last.train_error == pytest.approx(last.train_loss, rel=1e-5)
    errors = [error for row in history for error in (row.validation_error, row.validation_error_ema) if error]
    assert result.validation_error == min(errors)
    store, frame = FeatureStore([inputs.shard]), pd.read_parquet(inputs.fold_table)
    validation = frame[frame["part"] == "validation"]
    predicted = predict(tmp_path / "best.pt", store, validation["id"].tolist())["prediction"].to_numpy()
    assert ((predicted > 0) & (predicted < 1)).all()
    found = classification.log_loss(validation["target"].to_numpy(), predicted)
    assert found == pytest.approx(result.validation_error, rel=1e-5)


def test_a_run_names_its_error_and_its_task(inputs: Inputs, tmp_path: Path) -> None:
    result = train(job(inputs, tmp_path))
    stored = json.loads((tmp_path / "run.json").read_text())
    assert stored["validation_log_loss"] == result.validation_error
    assert (stored["task"], "validation_mae" in stored, "validation_error" in stored) == (
        "classification",
        False,
        False,
    )
    read = RunResult.read(tmp_path / "run.json")
    assert (read.validation_error, read.task) == (result.validation_error, "classification")
    lines = [json.loads(line) for line in (tmp_path / "history.jsonl").read_text().splitlines()]
    assert {"train_log_loss", "validation_log_loss", "validation_log_loss_ema", "train_loss"} < set(lines[0])
    assert [HistoryRow.from_dict(line) for line in lines] == read_history(tmp_path)
    description, best, _ = load_best(tmp_path / "best.pt")
    assert description.task == "classification"
    assert best is not None
    assert best.validation_error == result.validation_error


def test_a_run_that_was_stopped_goes_on(inputs: Inputs, tmp_path: Path) -> None:
    whole = train(job(inputs, tmp_path / "whole"))
    train(replace(job(inputs, tmp_path / "parts"), epochs=1))
    assert train(job(inputs, tmp_path / "parts")).validation_error == whole.validation_error


def test_a_prediction_of_anybodys_crystals_is_a_probability(inputs: Inputs, tmp_path: Path) -> None:
    train(job(inputs, tmp_path))
    some = [crystals()[id_] for id_ in inputs.ids[:3]]
    from pymatgen.core import Structure

    structures = [Structure(c.lattice, c.atomic_numbers.tolist(), c.frac_coords) for c in some]
    found = load_model(tmp_path / "best.pt").predict(structures, cores=1)
    expected = predict(tmp_path / "best.pt", FeatureStore([inputs.shard]), inputs.ids[:3])
    np.testing.assert_allclose(found["prediction"], expected["prediction"], rtol=1e-5)


def test_the_terminal_shows_a_probability_and_the_log_loss(
    inputs: Inputs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from pymatgen.core import Structure

    from sitenet.cli import main

    result = train(job(inputs, tmp_path))
    crystal = crystals()[inputs.ids[0]]
    Structure(crystal.lattice, crystal.atomic_numbers.tolist(), crystal.frac_coords).to(str(tmp_path / "a.cif"))
    main(["predict", str(tmp_path / "a.cif"), "--model", str(tmp_path / "best.pt"), "--format", "table"])
    shown = capsys.readouterr()
    assert "probability of wide gap" in shown.out
    assert f"log loss {result.validation_error:#.3g} on validation crystals" in shown.out + shown.err
    assert "()" not in shown.out + shown.err


def test_padding_changes_neither_loss_nor_gradient(inputs: Inputs) -> None:
    store = FeatureStore([inputs.shard])
    data = read_training_data(inputs.fold_table, store, None, 0)
    model = for_task(model_kinds()["sitenet"].build(NETWORK, False), CLASSIFICATION)
    settings = TrainingSettings(**RECIPE | {"clip_norm": None})
    trainer = Trainer(model, settings, store, data, 0, torch.device("cpu"))
    resident = ResidentPointSets(store, data.train.indices, trainer.device)
    batch, own = data.train.indices[:5], Size.of(data.train.indices[:5], resident)
    size = Size(own.crystals + 3, own.sites + 7, own.pairs + 40)
    padded = RecordedGradients(trainer._gradients, resident, data.train.table, size)(batch).figures
    gradients = [weight.grad.clone() for weight in model.parameters() if weight.grad is not None]
    model.zero_grad()
    targets = torch.tensor(data.train.table[:5]).float()
    figures = trainer._gradients(resident.batch(batch), targets)
    torch.testing.assert_close(padded, figures, rtol=1e-5, atol=1e-6)
    expected = [weight.grad for weight in model.parameters() if weight.grad is not None]
    assert len(expected) == len(gradients) > 5
    for gradient, other in zip(gradients, expected, strict=True):
        torch.testing.assert_close(gradient, other, rtol=1e-3, atol=2e-5)


def test_a_regression_of_the_same_name_is_no_beginning_of_the_readout(inputs: Inputs, tmp_path: Path) -> None:
    train(replace(job(inputs, tmp_path), task="regression"))
    own = job(inputs, tmp_path / "next", start_from=str(tmp_path / "best.pt"))
    for task, anew in ((CLASSIFICATION, True), (REGRESSION, False)):
        model = for_task(own.trial.build(False), task)
        assert ("new read-out" in start_from(tmp_path / "best.pt", own.trial, "wide gap", model)) == anew


@pytest.fixture(scope="module")
def table() -> tuple[pd.DataFrame, pd.DataFrame]:
    """A training part, and features of which the first decides the class."""
    random = np.random.default_rng(0)
    features = pd.DataFrame(random.normal(size=(120, 4)), columns=list("abcd"))
    features.insert(0, "id", [f"mp-{i}" for i in range(120)])
    target = (features["a"] + 0.5 * random.normal(size=120) > 0.3).astype(float)
    part = ["validation" if i % 5 == 0 else "train" for i in range(120)]
    return pd.DataFrame({"id": features["id"], "target": target, "part": part})[:90], features


def fitted(table: tuple[pd.DataFrame, pd.DataFrame], model: Section) -> Any:
    training, features = table
    ids = features["id"][90:].tolist()
    return fit_baseline(Trial({"model": model}), training, ids, features, False, 0, 1, CLASSIFICATION)


LOGISTIC = SklearnSettings(estimator="sklearn.linear_model.LogisticRegression", parameters={"C": 0.5}, standardise=True)


@pytest.mark.parametrize(
    ("model", "by_hand"),
    [
        (RandomForestSettings(n_trees=20), RandomForestClassifier(20, max_features=0.33, random_state=0)),
        (LOGISTIC, make_pipeline(StandardScaler(), LogisticRegression(C=0.5))),
    ],
)
def test_a_classifier_gives_the_probability_of_class_1(table: tuple, model: Section, by_hand: Any) -> None:
    training, features = table
    run, numbers = fitted(table, model), features.set_index("id")
    by_hand.fit(numbers.loc[training["id"]].to_numpy(), training["target"].astype(int))
    expected = by_hand.predict_proba(numbers.iloc[90:].to_numpy())[:, 1]
    np.testing.assert_allclose(run.predictions["prediction"], expected, rtol=1e-12)
    assert 0 < run.validation_error < 0.6


def test_the_dummy_predicts_the_prior_or_the_larger_class(table: tuple) -> None:
    training, _ = table
    assert fitted(table, DummySettings()).predictions["prediction"].unique() == [training["target"].mean()]
    assert fitted(table, DummySettings(statistic="median")).predictions["prediction"].unique() == [0]


@pytest.mark.parametrize(
    ("estimator", "parameters", "message"),
    [
        ("sklearn.linear_model.Ridge", {}, "sklearn.linear_model.Ridge is no classifier"),
        ("sklearn.svm.LinearSVC", {}, "LinearSVC gives no probabilities"),
        ("sklearn.linear_model.LogisticRegression", {"solver": "none"}, "LogisticRegression cannot be fitted: "),
    ],
)
def test_what_gives_no_probabilities_is_one_line(table: tuple, estimator: str, parameters: dict, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        fitted(table, SklearnSettings(estimator=estimator, parameters=parameters))
    assert "\n" not in str(caught.value)


def test_one_class_alone_is_one_line(table: tuple) -> None:
    training, features = table
    with pytest.raises(UserError, match="all 72 training crystals are of one class"):
        fitted((training.assign(target=1.0), features), LOGISTIC)


def test_a_checkpoint_of_before_there_were_classes_is_a_regression(inputs: Inputs, tmp_path: Path) -> None:
    train(replace(job(inputs, tmp_path), task="regression"))
    predictor = Predictor.load(tmp_path / "best.pt", "cpu")
    old = predictor.description.model_dump(mode="json")
    del old["task"]
    assert type(predictor.description).model_validate(old).task == "regression"
    assert type(predictor.model.scale) is TargetScale

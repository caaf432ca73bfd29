"""The training loop."""

import logging
from collections.abc import Callable, Iterator, Sequence
from time import monotonic
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from sitenet.evaluation.statistics.metrics import error_of
from sitenet.features.store import FeatureStore
from sitenet.history import HistoryRow
from sitenet.models.base.network import Network, PairNetwork
from sitenet.settings.training import TrainingSettings
from sitenet.tasks import Task
from sitenet.training.batching import (
    BatchSource,
    DivergedError,
    Indices,
    PointSets,
    infer,
    load_batches,
    pair_batches,
    shuffled,
)
from sitenet.training.gradients import Gradients, Step
from sitenet.training.recorded import RecordedGradients, Size
from sitenet.training.resident import ResidentPointSets
from sitenet.training.schedule import learning_rate, momentum
from sitenet.training.state import Best, Epoch, TrainingState
from sitenet.training.step_sums import StepSums
from sitenet.training.training_data import TrainingData

logger = logging.getLogger("sitenet")

SKIP_LIMIT = 10


class Trainer:
    """A network with its optimiser and the state of its training.

    Attributes:
        model: The network; `target_mean` and `target_std` of its `scale` are set here.
        read_outs: Those of further targets, which nobody needs after the training; their scales are set here, too.
        state: State of the training without its tensors.
        best_weights: Weights with the lowest validation error.
    """

    def __init__(
        self,
        model: Network,
        settings: TrainingSettings,
        store: FeatureStore,
        data: TrainingData,
        seed: int,
        device: torch.device,
        read_outs: Sequence[PairNetwork] = (),
    ):
        self.settings, self.data, self.seed, self.device = settings, data, seed, device
        self.store: PointSets | BatchSource = store
        if device.type == "cuda":
            used = np.concatenate([data.train.indices, data.validation.indices])
            self.store = ResidentPointSets(store, used, device)
        self.model = model.to(device)
        self.read_outs = nn.ModuleList(read_outs).to(device)
        self.state = TrainingState()
        self.best_weights: dict[str, Tensor] = {}
        if settings.standardise_target:
            self.model.scale.fit(data.train.targets)
        for network, targets in zip(read_outs, data.train.others, strict=True):
            network.scale.fit(targets)
        self._averaged: AveragedModel | None = None
        if settings.ema_decay is not None:
            self._averaged = AveragedModel(self.model, multi_avg_fn=get_ema_multi_avg_fn(settings.ema_decay))
            self._averaged.n_averaged = self._averaged.n_averaged.cpu()  # it is compared in every step
        self._optimiser = torch.optim.AdamW(
            [weight for weight in (*self.model.parameters(), *self.read_outs.parameters()) if weight.requires_grad],
            lr=settings.learning_rate,
            eps=settings.epsilon,
            weight_decay=settings.weight_decay,
            amsgrad=settings.amsgrad,
            fused=True,
        )
        self._scaler = torch.amp.GradScaler(device.type, enabled=settings.precision == "float16")
        self._gradients = Gradients(self.model, settings, self._optimiser, self._scaler, read_outs)
        self._recorded: RecordedGradients | None = None
        self._sums = StepSums(device)
        self._mark = monotonic()

    def fit(self, after_step: Callable[[], None], after_epoch: Callable[[], None], epochs: int | None = None) -> None:
        """Trains until a limit of the settings is reached.

        Args:
            after_step: Called after each batch of an epoch except the last.
            after_epoch: Called after each validation.
            epochs: Stop after so many epochs of the run. Schedules are those of the whole run, so that one that is
                restored later goes on as if it had not been stopped.

        Raises:
            DivergedError: Loss or gradient was not finite in too many batches, or a validation prediction is not.
        """
        while not (self.finished or (epochs is not None and self.state.epochs >= epochs)):
            self._train_epoch(after_step)
            self._validate()
            after_epoch()

    @property
    def finished(self) -> bool:
        """Whether a limit of the settings is reached."""
        best, patience = self.state.best, self.settings.patience
        if best is None:
            return False
        stops_early = patience is not None and self.state.epochs - best.epoch >= patience
        return stops_early or self.share >= 1

    @property
    def share(self) -> float:
        """Fraction of the run that is completed: by epochs or by time, whichever is larger."""
        state, settings = self.state, self.settings
        epochs = (state.epochs + state.epoch.seen / len(self.data.train)) / settings.max_epochs
        if settings.max_minutes is None:
            return epochs
        for_steps = max(60 * settings.max_minutes - state.validation_seconds - state.setup_seconds, 1e-9)
        return max(epochs, (state.seconds - state.setup_seconds) / for_steps)

    @property
    def task(self) -> Task:
        """What the network predicts."""
        return self.model.scale.task

    @property
    def computed_by(self) -> str:
        """What computes the work on pairs in a training step; see `Network.computed_by`."""
        with self._gradients.autocast():
            return self.model.computed_by()

    def tensors(self) -> dict[str, Any]:
        """All tensors that `restore` needs; brings `state` up to date."""
        self._collect()
        return {
            "model": self.model.state_dict(),
            "read_outs": self.read_outs.state_dict(),
            "averaged": self._averaged.state_dict() if self._averaged else {},
            "optimiser": self._optimiser.state_dict(),
            "scaler": self._scaler.state_dict(),
            "best": self.best_weights,
            "rng": torch.get_rng_state(),
            "cuda_rng": torch.cuda.get_rng_state_all() if self.device.type == "cuda" else [],
        }

    def restore(self, state: TrainingState, tensors: dict[str, Any]) -> None:
        """Restores a stored state."""
        self.state = state
        self.model.load_state_dict(tensors["model"])
        self.read_outs.load_state_dict(tensors.get("read_outs", {}))  # earlier versions had none
        if self._averaged:
            self._averaged.load_state_dict(tensors["averaged"])
        self._optimiser.load_state_dict(tensors["optimiser"])
        self._scaler.load_state_dict(tensors["scaler"])
        self.best_weights = tensors["best"]
        torch.set_rng_state(tensors["rng"])
        if self.device.type == "cuda" and tensors["cuda_rng"]:
            torch.cuda.set_rng_state_all(tensors["cuda_rng"])

    def _train_epoch(self, after_step: Callable[[], None]) -> None:
        """Trains to the end of the current epoch, or until the time is up."""
        epoch, train = self.state.epoch, self.data.train
        batches = self._batches()[epoch.batches :]
        for rows, step in zip(batches, self._steps(batches), strict=True):
            self._update(step)
            epoch.batches += 1
            epoch.seen += len(rows)
            if self._sums.full:
                self._collect()
            epoch.seconds += self._lap()
            if self.share >= 1:
                break
            if epoch.seen < len(train):
                after_step()
        self._collect()

    def _batches(self) -> list[Indices]:
        """Rows of the training part in each batch of the current epoch."""
        order = shuffled(len(self.data.train), self.seed, self.state.epochs)
        n_pairs = self.store.n_pairs[self.data.train.indices[order]]
        return [order[batch] for batch in pair_batches(n_pairs, self.settings.batch_pairs)]

    def _steps(self, batches: Sequence[Indices]) -> Iterator[Step]:
        """Computes the gradients of one batch of training rows after the other."""
        train, table = self.data.train, self.data.train.table
        if self._recorded is None and isinstance(self.store, ResidentPointSets) and not self._scaler.is_enabled():
            self._recorded = self._record(self.store)
            self.state.setup_seconds += self._lap()
        in_store = [train.indices[rows] for rows in batches]
        fast = [self._recorded is not None and self._recorded.fits(indices) for indices in in_store]
        slow = load_batches(self.store, [indices for indices, fits in zip(in_store, fast, strict=True) if not fits])
        for rows, indices, fits in zip(batches, in_store, fast, strict=True):
            if fits:
                assert self._recorded is not None
                yield self._recorded(indices)
                continue
            batch, targets = next(slow), torch.as_tensor(table[rows], dtype=torch.float32)
            # A graph goes on writing into the gradients that it was recorded with.
            self._optimiser.zero_grad(set_to_none=self._recorded is None)
            yield Step(batch.ids, self._gradients(batch.to(self.device), targets.to(self.device, non_blocking=True)))

    def _record(self, store: ResidentPointSets) -> RecordedGradients:
        train = self.data.train
        batches = [train.indices[rows] for rows in self._batches()]
        size = Size.for_batches(batches, store)
        places = np.full((len(train) + len(self.data.validation), train.table.shape[1]), np.nan)
        places[store.places(train.indices)] = train.table
        return RecordedGradients(self._gradients, store, places, size)

    def _update(self, step: Step) -> None:
        """Changes the weights by their gradients."""
        self._set_rates()
        if not self._scaler.is_enabled():
            # The fused optimiser leaves the weights as they are where this is 1; asking would wait for the device.
            self._optimiser.found_inf = (1 - step.figures[2]).float()  # type: ignore[attr-defined]
        self._scaler.step(self._optimiser)
        self._scaler.update()
        if self._averaged:
            self._averaged.update_parameters(self.model)
        self._sums.add(step)

    def _collect(self) -> None:
        """Adds up the steps since the last time.

        Raises:
            DivergedError: Loss or gradient was not finite in too many batches.
        """
        sums, epoch = self._sums.take(), self.state.epoch
        epoch.crystals += sums.crystals
        epoch.loss += sums.loss
        epoch.error += sums.error
        for ids in sums.skipped:
            self._skip(ids)

    def _set_rates(self) -> None:
        share = self.share
        for group in self._optimiser.param_groups:
            group["lr"] = learning_rate(self.settings, share)
            group["betas"] = (momentum(self.settings, share), group["betas"][1])

    def _skip(self, ids: Sequence[str]) -> None:
        self.state.skipped += 1
        problem = f"loss or gradient is not finite in a batch of {', '.join(ids)}"
        if self.state.skipped >= SKIP_LIMIT:
            raise DivergedError(
                f"{problem}; training stops after {SKIP_LIMIT} such batches: lower training.learning_rate"
            )
        logger.warning("%s; the batch is skipped (%d of %d allowed)", problem, self.state.skipped, SKIP_LIMIT - 1)

    def _validate(self) -> None:
        """Ends the epoch: computes validation errors, extends the history and keeps the best weights."""
        error = self._validation_error(self.model)
        error_ema = self._validation_error(self._averaged.module) if self._averaged else None
        state, epoch = self.state, self.state.epoch
        state.validation_seconds = self._lap()
        state.history.append(
            HistoryRow(
                epoch=state.epochs + 1,
                seconds=state.seconds,
                learning_rate=self._optimiser.param_groups[0]["lr"],
                train_loss=epoch.loss / epoch.crystals if epoch.crystals else None,
                train_error=epoch.error / epoch.crystals if epoch.crystals else None,
                validation_error=error,
                validation_error_ema=error_ema,
                crystals_per_second=epoch.seen / epoch.seconds,
                error=self.task.error.key,
            )
        )
        state.epoch = Epoch()
        self._keep_best(self.model, error, averaged=False)
        if self._averaged and error_ema is not None:
            self._keep_best(self._averaged.module, error_ema, averaged=True)

    def _validation_error(self, model: nn.Module) -> float:
        part = self.data.validation
        predictions = infer(model, self.store, part.indices, self.settings.batch_pairs, self.device)
        return error_of(self.task, part.targets, predictions)

    def _keep_best(self, model: nn.Module, error: float, averaged: bool) -> None:
        best = self.state.best
        if best is None or error < best.validation_error:
            self.state.best = Best(self.state.epochs, error, averaged)
            self.best_weights = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}

    def _lap(self) -> float:
        """Seconds since the last call; they are also added to the time of the run."""
        now = monotonic()
        lap = now - self._mark
        self._mark = now
        self.state.seconds += lap
        return lap

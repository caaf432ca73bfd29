"""How far a training is, as one line of its log."""

from sitenet.evaluation.tables.rounding import measured
from sitenet.training.trainer import Trainer


def progress_line(trainer: Trainer, unit: str) -> str:
    """Epoch, errors, speed and time left, as one line."""
    state, epoch, score = trainer.state, trainer.state.epoch, trainer.task.error
    total = "" if trainer.settings.max_minutes else f"/{trainer.settings.max_epochs}"
    left = _minutes(_seconds_left(trainer))
    if epoch.batches:
        done, rate = 100 * epoch.seen // len(trainer.data.train), epoch.seen / epoch.seconds
        error = score.amount(measured(epoch.error / max(epoch.crystals, 1)), unit)
        head = f"epoch {state.epochs + 1}{total} {done} % done, train {score.label} {error}"
        return f"{head}, {rate:.0f} crystals/s, {left} left"
    row, best = state.history[-1], state.best
    assert best is not None
    train = "not known" if row.train_error is None else measured(row.train_error)
    averaged = (
        "" if row.validation_error_ema is None else f", with averaged weights {measured(row.validation_error_ema)}"
    )
    validation = score.amount(measured(row.validation_error) + averaged, unit)
    lowest = measured(best.validation_error)
    return (
        f"epoch {row.epoch}{total}, train {score.label} {train}, validation {score.label} {validation} "
        f"(best {lowest} at {best.epoch}), {row.crystals_per_second:.0f} crystals/s, {left} left"
    )


def _seconds_left(trainer: Trainer) -> float:
    share = trainer.share
    return 0.0 if trainer.finished else trainer.state.seconds * (1 / share - 1)


def _minutes(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"

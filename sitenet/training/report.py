"""What a run tells while it trains: a line of log and the history file."""

import json
from dataclasses import asdict
from pathlib import Path

from sitenet.files import write_text
from sitenet.training.progress import Progress
from sitenet.training.trainer import Trainer


def write_history(path: Path, progress: Progress) -> None:
    """Writes the finished epochs as JSON, one a line; always the whole file, so none is missing or double."""
    write_text(path, "".join(json.dumps(asdict(row)) + "\n" for row in progress.history))


def progress_line(trainer: Trainer, unit: str) -> str:
    """Epoch, errors, speed and time left, as one line."""
    progress, epoch = trainer.progress, trainer.progress.epoch
    total = "" if trainer.settings.max_minutes else f"/{trainer.settings.max_epochs}"
    left = _minutes(_seconds_left(trainer))
    if epoch.batches:
        done, rate = 100 * epoch.seen // len(trainer.fold.train), epoch.seen / epoch.seconds
        mae = epoch.absolute_error / max(epoch.crystals, 1)
        head = f"epoch {progress.epochs + 1}{total} {done} % done, train MAE {mae:.3f} {unit}"
        return f"{head}, {rate:.0f} crystals/s, {left} left"
    row, best = progress.history[-1], progress.best
    assert best is not None
    train = "not known" if row.train_mae is None else f"{row.train_mae:.3f}"
    averaged = "" if row.validation_mae_ema is None else f", with averaged weights {row.validation_mae_ema:.3f}"
    return (
        f"epoch {row.epoch}{total}, train MAE {train}, validation MAE {row.validation_mae:.3f}{averaged} "
        f"{unit} (best {best.validation_mae:.3f} at {best.epoch}), {row.crystals_per_second:.0f} crystals/s, "
        f"{left} left"
    )


def _seconds_left(trainer: Trainer) -> float:
    share = trainer.share
    return 0.0 if trainer.finished else trainer.progress.seconds * (1 / share - 1)


def _minutes(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"

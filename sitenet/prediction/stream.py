"""Predictions of any number of crystals, shared by all cores, of which a few hundred are in memory at a time."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, wait
from functools import partial
from itertools import islice
from typing import TypeVar

import joblib
import pandas as pd
import torch
from joblib.externals.loky import ProcessPoolExecutor
from joblib.externals.loky.process_executor import BrokenProcessPool

from sitenet.errors import UserError
from sitenet.prediction.inputs.items import Item, chunks
from sitenet.prediction.model import Model, Prepared, model_of_process, prepare
from sitenet.prediction.networks import Networks

ALONE = 4  # chunks that are worked on before other processes are started
WAITING = 2  # chunks for each process: the one that it works on, and the next
R = TypeVar("R")


def frames(
    model: Model, items: Iterable[Item], cores: int | None = None
) -> Iterator[tuple[pd.DataFrame, Prepared | None]]:
    """Yields the rows of `Model.frame` for some hundred crystals at a time, in their order.

    The first chunks are worked on here: to start other processes takes as long. The rest is theirs, one on each core:
    all of it on CPUs; with a GPU, all but the networks' part.

    Args:
        model: The model.
        items: The crystals, which are read when they are needed.
        cores: Number of processes; None takes as many as there are usable cores.

    Yields:
        The rows, and the features where they are at hand.

    Raises:
        UserError: A process was killed.
    """
    cores = cores or joblib.cpu_count()
    remaining = chunks(items)
    for chunk in remaining if cores == 1 else islice(remaining, ALONE):
        prepared = prepare(chunk, model.features)
        yield model.frame(prepared), prepared
    if model.is_on_gpu:
        for prepared in _shared(partial(prepare, settings=model.features), remaining, cores):
            yield model.frame(prepared), prepared
    else:
        for frame in _shared(partial(_predict, model.networks), remaining, cores):
            yield frame, None


def _predict(networks: Networks, chunk: Sequence[Item]) -> pd.DataFrame:
    torch.set_num_threads(1)  # the other cores have processes of their own
    model = model_of_process(networks)
    return model.frame(prepare(chunk, model.features))


def _shared(work: Callable[[list[Item]], R], tasks: Iterable[list[Item]], cores: int) -> Iterator[R]:
    """Results in the order of the tasks, of which a few a process wait."""
    waiting: deque[Future[R]] = deque()
    remaining = iter(tasks)
    pool = ProcessPoolExecutor(max_workers=cores)
    is_done = False
    try:
        waiting.extend(pool.submit(work, task) for task in islice(remaining, WAITING * cores))
        while waiting:
            yield waiting.popleft().result()
            waiting.extend(pool.submit(work, task) for task in islice(remaining, 1))
        is_done = True
    except BrokenProcessPool:
        raise UserError("a process that predicts was killed; if memory is short, use fewer --cores") from None
    finally:
        for future in waiting:
            future.cancel()
        wait(waiting, timeout=10)  # a pool that is ended while a result arrives complains
        pool.shutdown(kill_workers=not is_done)

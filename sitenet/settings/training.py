"""The training recipe."""

from typing import Annotated, Literal

from pydantic import Field

from sitenet.settings.section import Section, Share


class TrainingSettings(Section):
    """How a network is trained; the defaults are the paper's recipe (batches apart, bounded there by sites).

    Training ends at whichever of `max_epochs`, `max_minutes` and `patience` comes first.

    Attributes:
        learning_rate: Peak learning rate of AdamW.
        schedule: Learning rate over the run; all but `constant` follow the share of the run that is over, and
            `one_cycle` moves AdamW's momentum too.
        warmup_share: Share of the run in which the rate rises to its peak; unused by `constant`.
        final_rate_share: Learning rate at the end, as a share of the peak; unused by `constant`.
        weight_decay: Decoupled weight decay.
        amsgrad: The variant of AdamW that keeps the maximum of the second moments.
        epsilon: Added to the denominator of AdamW.
        loss: Mean over the crystals of a batch, of errors in units of the standardised target.
        standardise_target: Learn (target - mean) / standard deviation of the training crystals.
        clip_norm: Upper limit of the gradient's norm; None does not clip.
        ema_decay: Decay a step of the exponential moving average of the weights, validated beside the
            weights themselves; None keeps no average.
        batch_pairs: Upper limit of reduced pairs in a batch, which bounds memory.
        max_epochs: Limit by passes over the training crystals.
        max_minutes: Limit by wall clock, restarts included and validation too. The schedule follows it, so that
            results depend on the machine and its load.
        max_crystals: Random subset of the training crystals, by seed; smaller subsets are contained in
            larger ones. None takes all.
        patience: Epochs without a better validation MAE before training stops; None never stops early.
        precision: Floating-point type of the network's matrix products (autocast); weights stay float32. Half
            precision is meant for GPUs: on a CPU that multiplies bfloat16 it made no training faster.
    """

    learning_rate: Annotated[float, Field(gt=0, le=1)] = 8.126e-4
    schedule: Literal["constant", "one_cycle", "cosine", "linear"] = "constant"
    warmup_share: Annotated[float, Field(ge=0, lt=1)] = 0.1
    final_rate_share: Share = 0.01
    weight_decay: Annotated[float, Field(ge=0)] = 1e-4
    amsgrad: bool = True
    epsilon: Annotated[float, Field(gt=0)] = 1e-7
    loss: Literal["l1", "huber", "mse"] = "l1"
    standardise_target: bool = False
    clip_norm: Annotated[float, Field(gt=0)] | None = 1.0
    ema_decay: Annotated[float, Field(gt=0, lt=1)] | None = None
    batch_pairs: Annotated[int, Field(ge=1)] = 20_000
    max_epochs: Annotated[int, Field(ge=1)] = 100
    max_minutes: Annotated[float, Field(gt=0)] | None = None
    max_crystals: Annotated[int, Field(ge=1)] | None = None
    patience: Annotated[int, Field(ge=1)] | None = None
    precision: Literal["float32", "bfloat16", "float16"] = "float32"

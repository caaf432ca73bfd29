"""Settings of the training."""

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from sitenet.settings.section import InputPath, Section, Share

ALL = "all"


def listed(names: Any) -> Any:
    """Names as a list, where one may be written without."""
    return (names,) if isinstance(names, str) else names


Names = Annotated[tuple[str, ...], BeforeValidator(listed, json_schema_input_type=str | tuple[str, ...])]


class TrainingSettings(Section):
    """How a network is trained. The defaults are the paper's, except that batches are limited by pairs, not sites.

    Training ends when the first of `max_epochs`, `max_minutes` and `patience` is reached.

    Attributes:
        learning_rate: Peak learning rate of the AdamW optimiser.
        schedule: Learning rate schedule. All but `constant` warm up and then decay over the length of the run;
            `one_cycle` also changes the momentum (beta_1) of AdamW.
        warmup_share: Fraction of the run in which the learning rate warms up to its peak; unused by `constant`.
        final_rate_share: Final learning rate as a fraction of the peak; unused by `constant`.
        weight_decay: Decoupled weight decay.
        amsgrad: Use the AMSGrad variant of AdamW.
        epsilon: Constant in the denominator of AdamW, for numerical stability.
        loss: Loss function: mean absolute error (`l1`), Huber loss or mean squared error (`mse`). It is averaged
            over the crystals of a batch, and uses standardised targets if `standardise_target` is true. Classes are
            always learnt by the binary cross-entropy.
        standardise_target: Subtract the mean of the training targets and divide by their standard deviation; not of
            classes.
        clip_norm: Maximum norm of the gradient (gradient clipping); null does not clip.
        ema_decay: Decay per step of the exponential moving average (EMA) of the weights. Averaged and current
            weights are both validated, and the better ones are kept. Null computes no average.
        batch_pairs: Largest number of reduced pairs in a batch, which limits memory.
        max_epochs: Largest number of epochs, passes over the training crystals.
        max_minutes: Time limit in minutes, with validation and all attempts of a restarted run. The learning rate
            follows the clock, so results depend on the machine and its load. Null sets no limit.
        max_crystals: Train on a random subset of at most this many crystals. It depends on the seed, and smaller
            subsets of a seed are contained in larger ones. Null uses all.
        patience: Early stopping: number of epochs without a lower validation error. Null never stops early.
        precision: Floating-point type of matrix products in training; weights and predictions stay float32. `tf32` is
            float32 with factors rounded to ten bits, on GPUs that have it. Half precision (autocast) is meant for
            GPUs: on a CPU with bfloat16 instructions it made no training faster.
        start_from: Fine-tuning: begin with the weights of another training, a checkpoint `best.pt` or the name of a
            model that comes with the package; seed s then takes its network s, modulo their number. Network and
            features must have the same settings. The read-out, the layers after the pooling of sites, begins anew
            where the target has another name. Null begins with random weights.
        trained: What is trained: the whole network, or its read-out alone, which needs a network to start from.
        other_targets: Further targets of the data set to learn beside its target, each with a read-out of its own: a
            name, a list of names, or `all`. `[[], density, all]` scans none, one and all. Each is standardised, and
            their mean loss is added. Crystals that lack the target teach the others; `max_crystals` does not count
            them.
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
    precision: Literal["float32", "tf32", "bfloat16", "float16"] = "float32"
    start_from: InputPath | None = None
    trained: Literal["all", "readout"] = "all"
    other_targets: Names = Field(default=(), exclude_if=lambda names: not names)

    @field_validator("other_targets")
    @classmethod
    def _not_repeated(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(names)) < len(names):
            raise ValueError("none may be repeated")
        if ALL in names and len(names) > 1:
            raise ValueError(f"'{ALL}' has the others in it: name it alone")
        return names

    @model_validator(mode="after")
    def _a_readout_needs_trained_sites(self) -> Self:
        if self.trained == "readout" and self.start_from is None:
            raise ValueError("trained: readout needs a network to start from: set start_from")
        if self.trained == "readout" and self.other_targets:
            raise ValueError("trained: readout leaves nothing that other targets could teach: leave other_targets out")
        return self

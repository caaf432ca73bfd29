r"""What a trained network attends to on test crystals, and its predictions without what lies beyond a distance.

The network's weight $\alpha_{ij}$ of a reduced pair is that of all $m_{ij}$ sites that share it, so a single site has
$w_{ij} = \alpha_{ij} / m_{ij}$, and there are $m_{ij}$ of them in each of the rows of the site's class. Everything here
is about single sites, and is the same with and without the reduction. (With `top_k`, a network may take some of the
sites that share a pair and leave others, which it cannot tell apart; here they share the weight evenly.)
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from sitenet.evaluation.attention.record import LOG_STEP, STEP, AttentionOfRun, AttentionRecord
from sitenet.features.store import FeatureStore
from sitenet.models.base.batch import Batch
from sitenet.models.base.network import AttentionNetwork, Network
from sitenet.prediction.attention.crystals import coefficients
from sitenet.prediction.attention.pairs import N_STEPS, Floats, Pairs
from sitenet.prediction.attention.sums import LOWEST, N_LOG_STEPS, HeadSums, weight_map
from sitenet.prediction.predictor import Predictor
from sitenet.records import RunKey, require_run
from sitenet.settings.analysis import AnalysisSettings
from sitenet.training.allotment import DeviceName
from sitenet.training.batching import Indices, PointSets, infer, load_batches, pair_batches, shuffled
from sitenet.training.device import configure_torch


class Cut(nn.Module):
    """A network that sees no pairs of sites beyond a distance; the weights of the others sum to 1 again."""

    def __init__(self, network: Network, cutoff: float):
        super().__init__()
        self.network, self.cutoff = network, cutoff

    def forward(self, batch: Batch) -> Tensor:
        """(C,) predictions in the unit of the target."""
        return self.network(batch.select_pairs(batch.distances <= self.cutoff))


@dataclass
class Analysis:
    """What is gathered batch by batch for B blocks of H heads each; their tables are block by block."""

    heads: HeadSums = field(default_factory=HeadSums)
    uniform: HeadSums = field(default_factory=HeadSums)
    maps: Floats | float = 0.0
    crystals: list[pd.DataFrame] = field(default_factory=list)
    shape: tuple[int, int] = (0, 0)
    reach: float = 0.0

    def add(self, network: Network, batch: Batch) -> None:
        """Adds the crystals of a batch."""
        blocks = network.attention(batch)
        if blocks:
            assert isinstance(network, AttentionNetwork)
            seen = network.seen(batch)
            kept = batch.select_pairs(seen)
            pairs = Pairs.of(kept)
            alpha_ET = np.concatenate([block[seen].double().cpu().numpy() for block in blocks], axis=1)
            self.shape = len(blocks), blocks[0].shape[1]
            self.heads.add(pairs, alpha_ET)
            self.uniform.add(pairs, pairs.uniform())
            weights_ET = alpha_ET / pairs.counts[:, None]
            self.maps += weight_map(pairs, weights_ET)
            self.crystals.append(coefficients(kept, pairs, weights_ET, self.shape[1]))
            self.reach = max(self.reach, float(pairs.distances.max()))
        else:
            self.reach = max(self.reach, float(batch.distances.max()))

    def head_table(self) -> pd.DataFrame:
        """See `AttentionOfRun.heads`."""
        if not self.shape[0]:
            return pd.DataFrame()
        of_uniform = self.uniform.means().drop(columns="self_weight").iloc[0].add_prefix("uniform_")
        return pd.concat([self._numbers(), self.heads.means()], axis=1).assign(**of_uniform)

    def profile_table(self) -> pd.DataFrame:
        """See `AttentionOfRun.profiles`; up to the longest distance."""
        if not self.shape[0]:
            return pd.DataFrame()
        profile = np.asarray(self.heads.profile)[:, : min(N_STEPS, int(self.reach / STEP) + 1)] / self.heads.n
        numbers = self._numbers().loc[np.repeat(np.arange(len(profile)), profile.shape[1])].reset_index(drop=True)
        distances = np.tile(np.arange(profile.shape[1]) * STEP, len(profile))
        return numbers.assign(distance=distances, attention=profile.ravel())

    def map_table(self) -> pd.DataFrame:
        """See `AttentionOfRun.maps`; bins without pairs are left out."""
        if not self.shape[0]:
            return pd.DataFrame()
        maps = np.asarray(self.maps).reshape(-1, N_STEPS, N_LOG_STEPS)
        table, step, log_step = np.nonzero(maps)
        numbers = self._numbers().iloc[table].reset_index(drop=True)
        places = {"distance": step * STEP, "log_weight": np.round(LOWEST + log_step * LOG_STEP, 6)}
        return numbers.assign(**places, pairs=maps[table, step, log_step])

    def _numbers(self) -> pd.DataFrame:
        """Block and head of each table of weights, from 1."""
        n_blocks, n_heads = self.shape
        block, head = np.divmod(np.arange(n_blocks * n_heads), n_heads)
        return pd.DataFrame({"block": block + 1, "head": head + 1})


@torch.inference_mode()
def gather(predictor: Predictor, store: PointSets, indices: Indices) -> Analysis:
    """The attention of a network on the C crystals of a store at `indices` (C,)."""
    ordered = indices[np.argsort(store.n_pairs[indices], kind="stable")]
    batches = pair_batches(store.n_pairs[ordered], predictor.trial.training.batch_pairs)
    analysis = Analysis()
    for batch in load_batches(store, [ordered[own] for own in batches]):
        analysis.add(predictor.model, batch.to(predictor.device))
    return analysis


def cut_predictions(
    predictor: Predictor, store: PointSets, indices: Indices, cutoffs: Sequence[float], reach: float
) -> pd.DataFrame:
    """Predictions without the pairs beyond each cut-off: id, cutoff (infinite: all pairs) and prediction.

    Args:
        predictor: The network.
        store: Features of crystals.
        indices: (C,) places of the crystals in the store.
        cutoffs: Distances in angstrom.
        reach: Distance in angstrom that no pair is beyond. Nothing is computed for a larger cut-off: such predictions
            are those with all pairs.
    """
    ids, everything = [store.ids[int(index)] for index in indices], predictor.predict(store, indices)
    frames = []
    for cutoff in (*cutoffs, np.inf):
        prediction = everything
        if cutoff < reach:
            cut, limit = Cut(predictor.model, cutoff), predictor.trial.training.batch_pairs
            prediction = infer(cut, store, indices, limit, predictor.device)
        frames.append(pd.DataFrame({"id": ids, "cutoff": cutoff, "prediction": prediction}))
    return pd.concat(frames, ignore_index=True)


def analyse_run(
    checkpoint: Path,
    store: FeatureStore,
    ids: Sequence[str],
    key: RunKey,
    settings: AnalysisSettings,
    device: DeviceName = "auto",
    threads: int = 1,
) -> AttentionOfRun:
    """Analyses the attention of one run on test crystals, whose targets it does not see.

    Args:
        checkpoint: The `best.pt` of the run.
        store: Features of the crystals, computed with the run's feature settings.
        ids: The test crystals; those without features are left out.
        key: The run that the checkpoint must be of.
        settings: Which crystals and cut-offs.
        device: Where to compute.
        threads: Number of torch threads.

    Raises:
        UserError: The checkpoint is not readable or of another run, or a prediction is not finite.
    """
    predictor = Predictor.load(checkpoint, device)
    configure_torch(predictor.device, threads, key.seed)
    require_run(checkpoint, predictor.description.key, key)
    known = [id_ for id_, there in zip(ids, store.has(ids), strict=True) if there]
    # Seeded by the fold alone, so that all trials are analysed on the same crystals.
    chosen = np.sort(shuffled(len(known), 0, key.fold)[: settings.max_crystals])
    indices = store.indices_of([known[place] for place in chosen])
    analysis = gather(predictor, store, indices)
    record = AttentionRecord(key=key, cutoffs=settings.cutoffs, n_crystals=len(indices), reach=analysis.reach)
    crystals = pd.concat(analysis.crystals, ignore_index=True) if analysis.crystals else pd.DataFrame()
    predictions = cut_predictions(predictor, store, indices, settings.cutoffs, analysis.reach)
    tables = analysis.head_table(), analysis.profile_table(), analysis.map_table()
    return AttentionOfRun(record, *tables, crystals, predictions)

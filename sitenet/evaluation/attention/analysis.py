"""The analyses of all runs together: errors without what lies beyond a distance, heads, and crystals.

Test targets come from scored predictions, where there are any.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from sitenet.config.trial import short, varying_settings
from sitenet.evaluation.ablation import plain
from sitenet.evaluation.attention.record import STEP, AttentionOfRun
from sitenet.evaluation.results import Results
from sitenet.evaluation.statistics.bootstrap import Estimate
from sitenet.evaluation.statistics.paired import paired_difference
from sitenet.evaluation.statistics.rank_correlation import rank_correlation

# A head is short- or long-ranged below or above so many times the mean distance of equal weights.
SHORT, LONG = 0.95, 1.05
SAME = 0.01  # a network uses no more range where its error differs by less than this share of itself
DESCRIPTORS = {
    "n_sites": "sites of the primitive cell",
    "n_elements": "elements",
    "mean_atomic_number": "mean atomic number",
    "mean_electronegativity": "mean electronegativity",
    "ionicity": "ionicity",
    "target": "reference value",
    "error": "absolute error",
}


@dataclass(frozen=True)
class AttentionAnalysis:
    """The analyses of all runs.

    Attributes:
        results: Results of the benchmark.
        runs: The analysed runs of each trial, by fold and seed.
        names: What each trial is called.
    """

    results: Results
    runs: Mapping[str, Sequence[AttentionOfRun]]
    names: Mapping[str, str]

    @classmethod
    def read(cls, records: Sequence[Path | str], results: Results) -> "AttentionAnalysis":
        """Reads the analyses of some runs.

        Raises:
            UserError: One is damaged.
        """
        runs: dict[str, list[AttentionOfRun]] = {}
        for path in records:
            run = AttentionOfRun.read(path)
            runs.setdefault(run.record.key.trial, []).append(run)
        return cls(results, runs, _names(results, runs))

    @cached_property
    def heads(self) -> pd.DataFrame:
        """Every head of every run, with its range: "short", "even" or "long"."""
        frames = [self._of_run(run, run.heads) for runs in self.runs.values() for run in runs]
        table = _joined(frames)
        if len(table):
            ratio = table["mean_distance"] / table["uniform_mean_distance"]
            table["range"] = np.select([ratio < SHORT, ratio > LONG], ["short", "long"], "even")
        return table

    @cached_property
    def cutoffs(self) -> pd.DataFrame:
        """The error of every trial without the pairs beyond each cut-off, a row each; the last one has all pairs.

        Columns: kind, trial, model, cutoff (angstrom), attention (share of the weights within the cut-off, mean over
        heads), change and shift (mean absolute and mean signed change of the predictions), mae or brier, and
        difference, difference_low and difference_high: the error minus that with all pairs, with its 95 % interval
        over seeds and formulas.
        """
        rows = []
        for trial, runs in self.runs.items():
            errors = self._errors(runs)
            for cutoff in sorted({own for run in runs for own in run.predictions["cutoff"]}):
                rows.append(
                    {
                        "kind": self._kind(trial),
                        "trial": trial,
                        "model": self.names[trial],
                        "cutoff": cutoff,
                        "attention": float(np.mean([_attention_within(run, cutoff) for run in runs])),
                        **_changes(runs, cutoff),
                        **self._scores(errors, cutoff),
                        "folds": len({run.record.key.fold for run in runs}),
                        "runs": len(runs),
                    }
                )
        return pd.DataFrame(rows)

    def range_used(self, trial: str) -> float:
        """Smallest cut-off from which on the error is within 1 % of that with all pairs; NaN where it is not known."""
        own = self.cutoffs[self.cutoffs["trial"] == trial].sort_values("cutoff", ascending=False)
        within = (
            (own["difference"].abs() <= SAME * own[self.results.task.crystal_error.key].iloc[0]).cumprod().astype(bool)
        )
        enough = own.loc[within, "cutoff"]
        return float(enough.min()) if len(enough) > 1 else np.nan

    @cached_property
    def crystals(self) -> pd.DataFrame:
        """Every analysed crystal of every run: its coefficient, descriptors, target and absolute error."""
        frames = []
        for runs in self.runs.values():
            for run in runs:
                everything = run.predictions[np.isinf(run.predictions["cutoff"])].set_index("id")["prediction"]
                table = run.crystals.copy()
                if len(table):
                    table["target"] = table["id"].map(self._targets(run))
                    table["error"] = self.results.task.crystal_errors(table["target"], table["id"].map(everything))
                frames.append(self._of_run(run, table))
        return _joined(frames)

    @cached_property
    def correlations(self) -> pd.DataFrame:
        """Rank correlation of the coefficient with each descriptor, by trial, with its 95 % interval over formulas.

        Ranks are those within a fold, whose networks differ. Values are means over seeds.
        """
        rows = []
        for trial, own in self.crystals.groupby("trial", sort=False) if len(self.crystals) else ():
            mean = own.groupby(["fold", "id"])[["coefficient", *DESCRIPTORS]].mean()
            ranks = mean.groupby(level="fold").rank(pct=True).reset_index()
            for name in DESCRIPTORS:
                known = ranks.dropna(subset=[name])
                groups = [self.results.groups.get(id_) or id_ for id_ in known["id"]]
                found = rank_correlation(known["coefficient"].to_numpy(), known[name].to_numpy(), groups)
                label = {"kind": self._kind(str(trial)), "trial": trial, "model": self.names[str(trial)]}
                estimate = {"correlation": found.value, "low": found.low, "high": found.high}
                rows.append({**label, "descriptor": name, **estimate, "n_test": len(known)})
        return pd.DataFrame(rows)

    def _kind(self, trial: str) -> str:
        return str(self.results.planned.trials[trial]["model"]["kind"])

    def _of_run(self, run: AttentionOfRun, table: pd.DataFrame) -> pd.DataFrame:
        key = run.record.key
        front = {"kind": self._kind(key.trial), "trial": key.trial, "fold": key.fold, "seed": key.seed}
        return pd.concat([pd.DataFrame(front, index=table.index), table], axis=1)

    def _targets(self, run: AttentionOfRun) -> "pd.Series[float]":
        """Reference value of each test crystal by id; none where the run was not scored."""
        scored = [other for other in self.results.runs if other.result.key == run.record.key and other.is_scored]
        return scored[0].predictions()["target"] if scored else pd.Series(dtype=float)

    def _errors(self, runs: Sequence[AttentionOfRun]) -> dict[int, list[pd.DataFrame]]:
        """Errors of labelled crystals of each run by fold: a row for each crystal, a column a cut-off."""
        errors: dict[int, list[pd.DataFrame]] = {}
        for run in runs:
            predictions = run.predictions.pivot(index="id", columns="cutoff", values="prediction")
            targets = self._targets(run).reindex(predictions.index).dropna()
            own = predictions.loc[targets.index]
            table = own.apply(lambda guess, truth=targets: self.results.task.crystal_errors(truth, guess))
            if len(table):
                errors.setdefault(run.record.key.fold, []).append(table)
        return errors

    def _scores(self, errors: Mapping[int, Sequence[pd.DataFrame]], cutoff: float) -> dict[str, float]:
        means = [np.mean([run[cutoff].mean() for run in runs]) for runs in errors.values()]
        found = Estimate(np.nan, np.nan, np.nan)
        if errors:
            differences = {k: np.stack([run[cutoff] - run[np.inf] for run in runs]) for k, runs in errors.items()}
            groups = {k: [self.results.groups.get(id_) or id_ for id_ in runs[0].index] for k, runs in errors.items()}
            found = paired_difference(differences, groups)
        return {
            self.results.task.crystal_error.key: float(np.mean(means)) if means else np.nan,
            "difference": found.value,
            "difference_low": found.low,
            "difference_high": found.high,
            "n_test": sum(len(runs[0]) for runs in errors.values()),
        }


def _names(results: Results, trials: Mapping[str, object]) -> dict[str, str]:
    """The kind of each trial, with the settings in which it differs from the other analysed trials of its kind."""
    names = {}
    for kind, own in results.planned.trials_by_kind().items():
        analysed = {trial: settings for trial, settings in own.items() if trial in trials}
        for trial, settings in analysed.items():
            varying = [f"{short(name)}={plain(settings[name])}" for name in varying_settings(analysed)]
            names[trial] = " ".join([kind, *varying])
    return names


def _joined(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    filled = [frame for frame in frames if len(frame)]
    return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame()


def _attention_within(run: AttentionOfRun, cutoff: float) -> float:
    """Share of the weights within a distance, mean over blocks and heads; NaN without attention."""
    if not len(run.heads):
        return np.nan
    by_distance = run.profiles.groupby("distance")["attention"].sum() / len(run.heads)
    edges = np.append(0.0, by_distance.index.to_numpy() + STEP)
    others = np.interp(cutoff, edges, np.append(0.0, by_distance.cumsum().to_numpy()))
    return float(run.heads["self_weight"].mean() + others)


def _changes(runs: Sequence[AttentionOfRun], cutoff: float) -> dict[str, float]:
    """Mean absolute and mean signed difference of the predictions from those with all pairs."""
    tables = [run.predictions.pivot(index="id", columns="cutoff", values="prediction") for run in runs]
    differences = [table[cutoff] - table[np.inf] for table in tables]
    return {
        "change": float(np.mean([difference.abs().mean() for difference in differences])),
        "shift": float(np.mean([difference.mean() for difference in differences])),
    }

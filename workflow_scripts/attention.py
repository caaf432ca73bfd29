"""Analyses the attention of one trained network on the test crystals of its fold, whose targets it does not see."""

from pathlib import Path
from typing import Any

import pandas as pd

from sitenet.data.manifest import Splits
from sitenet.features.shard import open_features
from sitenet.logs import run_job
from sitenet.prediction.attention.analysis import analyse_run
from sitenet.records import RunKey
from sitenet.settings.analysis import AnalysisSettings
from sitenet.training.allotment import allotted_device


def main(snakemake: Any) -> None:
    files, params = snakemake.input, snakemake.params
    key = RunKey(benchmark=params.benchmark, **dict(snakemake.wildcards.items()))
    Splits.read(files.splits, check=[f"folds/fold{key.fold}/test_inputs.parquet"])
    store = open_features(Path(files.features), [Path(shard) for shard in params.shards])
    ids = pd.read_parquet(files.ids, columns=["id"])["id"].tolist()
    settings, device = AnalysisSettings.model_validate(params.analysis), allotted_device(snakemake.resources)
    analysed = analyse_run(Path(files.best), store, ids, key, settings, device, snakemake.threads)
    analysed.write(Path(snakemake.output.record).parent)


if __name__ == "__main__":
    run_job(main, snakemake)

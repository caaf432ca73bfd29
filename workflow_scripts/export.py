"""Writes crystals and folds in formats that other programs read; test parts have no targets."""

from pathlib import Path
from typing import Any

from sitenet.data.export import export_fold, export_structures
from sitenet.data.manifest import EXPORTED_PARTS, EXPORTED_STRUCTURES, Export, Manifest, Splits
from sitenet.logs import run_job


def main(snakemake: Any) -> None:
    files, folder = snakemake.input, Path(snakemake.output.record).parent
    Manifest.read(files.data, check=["structures.parquet"])
    folds = [Path(path).parent.name for path in files.train]
    Splits.read(files.splits, check=[f"folds/{fold}/{n}.parquet" for fold in folds for n in ("train", "test_inputs")])
    export_structures(files.structures, folder)
    for fold, train, test_inputs in zip(folds, files.train, files.test_inputs, strict=True):
        export_fold(train, test_inputs, folder / fold)
    parts = [f"{fold}/{part}" for fold in folds for part in EXPORTED_PARTS]
    Export().write(snakemake.output.record, files=[*EXPORTED_STRUCTURES, *parts])


if __name__ == "__main__":
    run_job(main, snakemake)

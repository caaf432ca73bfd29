"""A tiny network on real crystals, for tests of training that take seconds."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from sitenet.config.trial import Trial
from sitenet.data.manifest import Counts, FoldCounts, Manifest, Splits
from sitenet.data.table import CrystalTable, bundled_path, copy_rows
from sitenet.features.featurize import featurize
from sitenet.features.store import write_shard
from sitenet.files import sha256_of
from sitenet.models.cgcnn.settings import CGCNNSettings
from sitenet.models.schnet.settings import SchNetSettings
from sitenet.models.sitenet.settings import SiteNetSettings
from sitenet.models.sitenet_radial.settings import RadialSiteNetSettings
from sitenet.records import RunKey
from sitenet.settings.features import FeatureSettings
from sitenet.settings.section import Section
from sitenet.settings.training import TrainingSettings
from sitenet.training.run import TrainJob

FEATURES = FeatureSettings(max_sites=12)
NETWORK = SiteNetSettings(
    heads=2,
    site_width_per_head=4,
    pair_width_per_head=3,
    value_width=4,
    embedding_width=4,
    attention_hidden=(6,),
    pooled_width=6,
    head_hidden=(6,),
)
RADIAL_NETWORK = RadialSiteNetSettings(blocks=2, heads=2, width=16, hidden_width=8, radial_functions=4)
CGCNN_NETWORK = CGCNNSettings(blocks=2, width=16, hidden_width=8, radial_functions=4)
SCHNET_NETWORK = SchNetSettings(blocks=2, width=16, hidden_width=8, radial_functions=4)
RECIPE: dict[str, Any] = {"max_epochs": 3, "batch_pairs": 80, "learning_rate": 1e-2, "ema_decay": 0.9}


@dataclass(frozen=True)
class Inputs:
    """Files that a training run reads."""

    shard: Path
    fold_table: Path
    ids: Sequence[str]
    features: FeatureSettings

    def job(self, folder: Path, network: Section = NETWORK, **recipe: Any) -> TrainJob:
        """A run with the values of `RECIPE`, changed by those given."""
        training = TrainingSettings(**RECIPE | recipe)
        trial = Trial({"model": network, "features": self.features, "training": training})
        return TrainJob(
            key=RunKey(benchmark="mp_dielectric_gap", trial=trial.id, fold=0, seed=0),
            trial=trial,
            features=[self.shard],
            fold_table=self.fold_table,
            folder=folder,
            target="band_gap",
            unit="eV",
            non_negative=True,
            data_checksum="a" * 64,
            device="cpu",
        )


def write_inputs(folder: Path, count: int = 40, features: FeatureSettings = FEATURES) -> Inputs:
    """Writes features and a fold of real crystals with their band gaps; each fifth crystal validates."""
    table = bundled_path("mp_dielectric_gap")
    crystals = list(CrystalTable.open(table).crystals(0, count))
    shard, fold_table = folder / "features.arrow", folder / "train.parquet"
    write_shard(shard, [featurize(crystal, features) for crystal in crystals], features)
    frame = pd.read_parquet(table, columns=["id", "band_gap"]).head(count)
    frame = frame.rename(columns={"band_gap": "target"})
    frame["part"] = ["validation" if i % 5 == 0 else "train" for i in range(count)]
    frame.to_parquet(fold_table)
    return Inputs(shard, fold_table, frame["id"].tolist(), features)


def write_data_set(folder: Path, inputs: Inputs) -> Path:
    """Writes the folder of a data set as the workflow leaves it, with the crystals of the inputs in fold 0."""
    part = "folds/fold0/train.parquet"
    (folder / part).parent.mkdir(parents=True)
    copy_rows(bundled_path("mp_dielectric_gap"), folder / "structures.parquet", set(inputs.ids))
    (folder / part).write_bytes(inputs.fold_table.read_bytes())
    parts = FoldCounts(train=32, validation=8, test=0, test_unlabelled=0, full_train=40, full_test=0)
    Splits(kind="kfold", seed=0, folds=(parts,), sha256="c" * 64).write(folder / "splits.json", files=[part])
    checksum, counts = (
        sha256_of(folder / "structures.parquet"),
        Counts(rows=40, kept=40, failed=0, left_out=0, unlabelled=0),
    )
    nothing = dict.fromkeys(("version", "url", "sha256", "licence", "citation", "query"), "")
    about: dict[str, Any] = {
        "name": "gaps",
        "source": "bundled",
        "target": "band_gap",
        "unit": "eV",
        "non_negative": True,
    }
    about |= {"counts": counts, "filters": {}, "failures": {}, "structures_sha256": checksum}
    Manifest(**nothing | about).write(folder / "manifest.json", files=["structures.parquet"])
    return folder

"""Writes the tables of the analysis of attention."""

from pathlib import Path

import pandas as pd

from sitenet.evaluation.attention.analysis import AttentionAnalysis
from sitenet.evaluation.tables.write import identified
from sitenet.files import replacing

EMPTY = {
    "attention_cutoff": ["kind", "trial", "cutoff"],
    "attention_heads": ["kind", "trial", "fold", "seed", "block", "head"],
    "attention_correlations": ["kind", "trial", "descriptor"],
    "attention_crystals": ["kind", "trial", "fold", "seed", "id"],
}


def write_attention_tables(analysis: AttentionAnalysis, folder: Path) -> None:
    """Writes the four tables, `attention_cutoff.csv` and others.

    docs/attention.md explains their columns. Without attention in the networks, all but the first have no rows.
    """
    tables = {
        "attention_cutoff.csv": analysis.cutoffs,
        "attention_heads.csv": analysis.heads,
        "attention_correlations.csv": analysis.correlations,
        "attention_crystals.csv.gz": analysis.crystals.rename(columns={"target": "target_value"}),
    }
    for name, table in tables.items():
        shown = table if len(table.columns) else pd.DataFrame(columns=EMPTY[name.partition(".")[0]])
        compression = {"method": "gzip", "mtime": 0} if name.endswith(".gz") else None
        with replacing(folder / name) as temporary:
            identified(shown, analysis.results).to_csv(
                temporary, index=False, lineterminator="\n", compression=compression
            )

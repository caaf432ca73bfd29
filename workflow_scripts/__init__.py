"""One thin script per rule, with the name of the rule; only these scripts use the object `snakemake`."""

"""One thin script a rule, with the rule's name; only here is the object `snakemake` known."""

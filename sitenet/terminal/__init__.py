"""What a user sees while the workflow runs: a line for each job, what failed and why, and the result at the end.

`handler` is a logger plugin of Snakemake, which runs in the driver alone. What jobs do is read from their log files, so
that the lines are the same for jobs of this machine and of a cluster.
"""

#!/bin/sh
# Written by tools/write_environments.py from requirements-nodeps.lock; do not edit.
# These pin packages of 2022 and run with today's, so they go in without their dependencies.
set -eu
"$CONDA_PREFIX/bin/python" -m pip install --no-deps matbench==0.6

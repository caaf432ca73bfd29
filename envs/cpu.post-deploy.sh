#!/bin/sh
# Written by tools/write_environments.py from requirements-nodeps.lock; do not edit.
# They ask for older packages than they need, or for more, so they go in without their dependencies.
set -eu
"$CONDA_PREFIX/bin/python" -m pip install --no-deps chgnet==0.4.2 e3nn==0.6.0 matbench==0.6 nvidia-ml-py3==7.352.0 opt-einsum==3.4.0 opt-einsum-fx==0.1.4 sevenn==0.13.0

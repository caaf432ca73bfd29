"""Set before torch is imported: tests run side by side, and small networks gain nothing from more threads."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

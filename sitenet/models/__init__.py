"""Models: a folder a kind, with its settings, its network or regressor, and its kernels."""

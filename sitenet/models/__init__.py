"""Models: each kind has a folder with its settings, its network or regressor, and its kernels."""

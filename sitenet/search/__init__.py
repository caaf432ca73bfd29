"""Search for hyperparameters: draws trials, and decides which of them go on, by validation errors alone."""

"""What all networks share: batches, operations over segments, compiled kernels, the interface."""

"""Networks of the authors of Site-Net, whose checkpoints `sitenet import-original` converts."""

"""Numbers of each stage that must not move by accident."""

"""The result page: one HTML file that opens from the disk, with everything it needs inside."""

"""What trained networks attend to on test crystals; the targets of these are not seen here."""

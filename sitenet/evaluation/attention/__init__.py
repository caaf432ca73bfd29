"""What trained networks attend to, and what range they use: tables and figures of the analysis of attention."""

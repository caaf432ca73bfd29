"""Closed, typed configuration of a benchmark; imports neither torch nor pymatgen."""

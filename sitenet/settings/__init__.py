"""Closed, typed sections of the configuration; imports neither torch nor pymatgen."""

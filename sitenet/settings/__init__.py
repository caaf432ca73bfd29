"""Typed sections of the configuration, in which unknown keys are errors; imports neither torch nor pymatgen."""

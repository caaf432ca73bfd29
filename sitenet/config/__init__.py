"""Typed configuration of a benchmark, in which unknown keys are errors; imports neither torch nor pymatgen."""

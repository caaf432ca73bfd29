"""How far a prediction can be trusted: calibrated intervals, the probability of a metal, and flags."""

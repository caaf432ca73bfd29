"""Version of each stage; raising one reruns its jobs, since editing the package alone reruns none."""

DATA = 3
FEATURES = 2
TRAIN = 2
EVALUATE = 5
ATTENTION = 1

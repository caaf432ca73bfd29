"""Version of each stage; raising one reruns its jobs, since editing the package alone reruns none."""

DATA = 2
FEATURES = 2
TRAIN = 2
EVALUATE = 4
ATTENTION = 1

"""Features of sites that a pretrained network has learnt elsewhere."""

"""Files of real crystals that must read as the same crystal, and damaged ones that may be refused instead."""

"""Error metrics, bootstrap intervals and paired differences."""

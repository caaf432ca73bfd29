"""One crystal, explained: the command `sitenet explain` and the page that it writes."""

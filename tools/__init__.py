"""Scripts that made what is committed."""

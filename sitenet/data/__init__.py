"""Crystal tables, data sources and splits."""

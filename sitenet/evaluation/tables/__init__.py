"""Tables of results: CSV files with all digits, and rounded Markdown."""

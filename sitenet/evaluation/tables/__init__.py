"""Tables for programs and people: CSV with every digit, Markdown rounded."""

"""Structures in the formats that users and sources have them, each file read by two libraries where there are two."""

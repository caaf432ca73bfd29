"""Metrics, statistics, leaderboard and figures."""

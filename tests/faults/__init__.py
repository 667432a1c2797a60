"""Processes that die on purpose."""

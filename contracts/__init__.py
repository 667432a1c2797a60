"""Frozen values that cross a border, and the pure rules about them.

Nothing here does I/O or reads a setting: workflows run these rules deterministically, the API, the
activities and the store agree on them.
"""

"""Measurements beside their anchors; not shipped.

A regular package, because pysbd installs one of the same name, which would win otherwise.
"""

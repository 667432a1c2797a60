"""Recordings made by code while tests run: good ones, bad ones, and files that only pretend."""

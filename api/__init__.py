"""The HTTP front: it asks, and never decides what becomes of a job."""

"""What a job does to the world: one effect each, safe to do twice."""

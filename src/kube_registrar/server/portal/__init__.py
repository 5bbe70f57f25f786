"""Discovery in front of any registry: Cloud Map's reads, and DNS, from what the port says and from nothing else."""

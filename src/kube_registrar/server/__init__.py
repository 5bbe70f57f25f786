"""What stands in front of a registry, and what the outside asks of this process: wire protocols and probes."""

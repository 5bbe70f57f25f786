"""The engine: keeps every registry true to the cluster, one registry service at a time."""

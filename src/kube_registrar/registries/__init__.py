"""Registries: the port that the engine knows, and a folder a backend."""

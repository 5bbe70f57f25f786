"""Asking a registry as its clients and its owners see it, and showing that: `discover` and the lists."""

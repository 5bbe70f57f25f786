"""The life of our own kinds in the registry: kopf handlers that translate, and functions that decide."""

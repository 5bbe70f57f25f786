"""The command line, and with `run` the one place that builds registries, servers and the operator together."""

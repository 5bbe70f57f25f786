"""Fixtures for all tests."""

pytest_plugins = ["kube_registrar.testing.pytest_plugin"]

"""Fixtures for all tests, and their order."""

import pytest

pytest_plugins = ["kube_registrar.testing.pytest_plugin"]
# Here, before any test imports it: whichever folders are asked for, and in whichever order.
pytest.register_assert_rewrite("kube_registrar.testing.contract")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the scenarios: they wait more than they work, and none should be what the other workers wait for."""
    items.sort(key=lambda item: not item.nodeid.startswith("tests/scenarios/"))

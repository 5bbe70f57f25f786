"""Failures of the contract read like those of tests written here."""

import pytest

pytest.register_assert_rewrite("kube_registrar.testing.contract")

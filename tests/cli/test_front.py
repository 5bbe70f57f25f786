"""What this process serves, as it is configured."""

from contextlib import AsyncExitStack

import pytest

from kube_registrar.cli import front
from kube_registrar.cli.counting import new_metrics
from kube_registrar.declared.settings import Configuration
from kube_registrar.model.errors import UserError
from kube_registrar.runtime.clock import SystemClock


@pytest.mark.parametrize("given", [Configuration(access_keys="keys.yaml"), Configuration(tls_cert="tls.crt")])
async def test_keys_for_an_api_that_is_not_there_are_a_mistake(given: Configuration) -> None:
    async with AsyncExitStack() as stack:
        with pytest.raises(UserError, match="no registry is embedded, so there is no Cloud Map API to guard"):
            await front.serve_api(stack, given, {}, SystemClock(), new_metrics())

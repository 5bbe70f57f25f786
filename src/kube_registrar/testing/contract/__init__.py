"""The contract of a registry: what every backend must do, as tests to subclass.

    class TestMine(RegistryContract):
        @pytest.fixture
        async def fence(self):
            return Fence(SystemClock())

        @pytest.fixture
        async def registry(self, tmp_path, fence):
            async with open_registry({...}, RegistryName("default"), SystemClock(), fence) as registry:
                yield registry

The names that the tests use end in a random suffix, so a registry may be shared and may hold other things; what the
tests make is left behind. Class attributes adapt the suite to a backend, see `Base`. For readable failures put
`pytest.register_assert_rewrite("kube_registrar.testing.contract")` into the conftest.py beside the subclass.
"""

from kube_registrar.testing.contract.base import Base
from kube_registrar.testing.contract.changes import ChangesContract
from kube_registrar.testing.contract.discovery import DiscoveryContract
from kube_registrar.testing.contract.fencing import FencingContract
from kube_registrar.testing.contract.health import HealthContract
from kube_registrar.testing.contract.limits import LimitsContract
from kube_registrar.testing.contract.resources import ResourcesContract

__all__ = [
    "Base",
    "ChangesContract",
    "DiscoveryContract",
    "FencingContract",
    "HealthContract",
    "LimitsContract",
    "RegistryContract",
    "ResourcesContract",
]


class RegistryContract(
    ResourcesContract, ChangesContract, LimitsContract, HealthContract, DiscoveryContract, FencingContract
):
    """All of it."""

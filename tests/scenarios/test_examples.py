"""What examples/services shows is what happens."""

from kube_registrar.testing.waiting import wait_until
from tests.scenarios.harness import Operator
from tests.scenarios.place import ROOT, Place
from tests.scenarios.registry import Attributes, Registry

FOLDER = ROOT / "examples" / "services"
FILES = ("namespace.yaml", "annotated-service.yaml", "selector.yaml", "machines.yaml")


def _apply(place: Place) -> None:
    """Apply the example in this place instead of `default` and `shop`."""
    for name in FILES:
        text = (FOLDER / name).read_text(encoding="utf-8")
        for key in ("namespace", "metadata.name"):
            text = text.replace(f"{key}: default", f"{key}: {place.namespace}")
        text = text.replace("name: shop", f"name: {place.registry_namespace}")
        place.plane.apply(text.replace("service: shop/", f"service: {place.registry_namespace}/"))


def test_every_file_is_applied() -> None:
    assert {path.name for path in FOLDER.glob("*.yaml")} == set(FILES)


def test_what_the_files_hold_is_found_as_the_readme_says(
    one_operator: Operator, place: Place, the_registry: Registry
) -> None:
    _apply(place)
    for way in ("cart", "search"):
        place.rolled_out(way)
        pods = place.pods(f"app.kubernetes.io/name={way}")
        found = the_registry.expect(way, pods, stage="dev", version="1.0.0")
        assert [one["AWS_INSTANCE_PORT"] for one in found.values()] == ["8080", "8080"]

    def machines() -> list[Attributes]:
        return [one["Attributes"] for one in the_registry.instances("database")]

    wait_until(lambda: len(machines()) == 2, lambda: f"two machines; there are {machines()}")
    assert {(one["AWS_INSTANCE_IPV4"], one["AWS_INSTANCE_PORT"], one["AVAILABILITY_ZONE"]) for one in machines()} == {
        ("192.0.2.11", "5432", "eu-west-1a"),
        ("192.0.2.12", "5432", "eu-west-1b"),
    }

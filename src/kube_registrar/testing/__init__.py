"""
What others test with: a real control plane on this machine, and what stands in for a registry.

`binaries` builds the control plane from pinned Go modules, `control_plane` runs it, `pytest_plugin` gives it to tests.
`python -m kube_registrar.testing` does the first two from a shell.

For whoever writes a registry (docs/write-a-registry.md), as experimental as the port is until 1.0:

- `contract.RegistryContract`: the rules of the port as a class to subclass, with the fixture `registry`, an open one,
  and the fixture `fence` that it was opened with. Its parts (`ResourcesContract`, `ChangesContract` and others) can be
  taken alone. `pytest.register_assert_rewrite("kube_registrar.testing.contract")` makes failures readable.
- `fake.FakeRegistry`: a registry in memory that keeps the rules, records what it is asked, and fails, loses, delays and
  lets things straggle when told to (`faults`).
- `builders`: specs, instances, registrations and the JSON of Kubernetes objects, each with defaults.
- `clock.FakeClock`: time that stands still until a test moves it.
- `fault_proxy`: breaks connections to a real server as networks do.
"""

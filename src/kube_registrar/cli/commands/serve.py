"""`kube-registrar serve`: a registry behind Cloud Map's API, without an operator."""

from collections.abc import Mapping

import click

from kube_registrar.cli.options import configured, settings_options
from kube_registrar.declared.settings import Configuration

_OF_THE_OPERATOR = frozenset(
    {
        "allow_undeclared",
        "cluster_name",
        "context",
        "kubeconfig",
        "leader_election",
        "lease_name",
        "lease_namespace",
        "policy",
        "resync_seconds",
        "served_registry",
        "watch_namespaces",
    }
)
"""Settings about a cluster: this command knows none."""


@click.command("serve")
@settings_options(without=_OF_THE_OPERATOR)
def command(**flags: object) -> None:
    """Serve a Cloud Map, or discovery before any registry.

    Without Kubernetes. The embedded registry speaks AWS Cloud Map's wire API: boto3, the aws command line and every
    other SDK work against it as they are. In front of a registry of another kind it serves reads and discoveries.
    That needs access keys, and so does whatever is beyond this machine. docs/serve.md and docs/discovery.md tell more.

    \b
      kube-registrar serve --data ./data
      kube-registrar serve --config registrar.yaml --default-registry edge --access-keys keys.yaml
      kube-registrar serve --data ./data --simulate latency=20ms,operation-delay=0.3s-1s,throttle=50/100
      kube-registrar serve --data /var/lib/registry --api-listen 0.0.0.0:8443 \\
          --access-keys keys.yaml --tls-cert tls.crt --tls-key tls.key
    """  # noqa: D301 - \b is the character by which click leaves lines as they are
    configuration = _configuration(flags)
    from kube_registrar.cli.serve import serve  # noqa: PLC0415 - help does not need it
    from kube_registrar.runtime import logs  # noqa: PLC0415 - see above

    logs.configure(configuration.log_format, configuration.log_level)
    serve(configuration)


def _configuration(flags: Mapping[str, object]) -> Configuration:
    """Return the settings; their default registry is the one to serve. Raises UserError."""
    import msgspec  # noqa: PLC0415 - help does not need it

    configuration = configured(flags, kind="embedded")
    return msgspec.structs.replace(configuration, served_registry=configuration.default_registry)

"""`kube-registrar serve`: the embedded registry alone."""

from collections.abc import Mapping

import click

from kube_registrar.cli.options import configured, settings_options
from kube_registrar.declared.settings import Configuration

_OF_THE_OPERATOR = frozenset(
    {
        "allow_undeclared",
        "cluster_name",
        "context",
        "default_registry",
        "endpoint_url",
        "kubeconfig",
        "leader_election",
        "lease_name",
        "lease_namespace",
        "policy",
        "registry",
        "resync_seconds",
        "watch_namespaces",
    }
)
"""Settings about a cluster, or about other registries: this command knows neither."""


@click.command("serve")
@settings_options(without=_OF_THE_OPERATOR)
def command(**flags: object) -> None:
    """Run the embedded registry alone: a Cloud Map of your own.

    Without Kubernetes. It speaks AWS Cloud Map's wire API: boto3, the aws command line and every other SDK work
    against it as they are. Beyond this machine it needs access keys. docs/serve.md tells more.

    \b
      kube-registrar serve --data ./data
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
    configuration = configured(flags, kind="embedded")
    entry = configuration.registries[configuration.default_registry]
    if entry.kind != "embedded":
        from kube_registrar.model.errors import UserError  # noqa: PLC0415 - only this mistake needs it

        raise UserError(
            f"registry {configuration.default_registry} is of the kind {entry.kind}, and serve is for the embedded "
            "kind: name another one with defaultRegistry, or give --data without a file"
        )
    return configuration

"""The settings of `run`, for commands that only look."""

import os
from urllib.parse import urlsplit

import msgspec

from kube_registrar.declared.settings import Configuration, LogLevel, RegistryEntry
from kube_registrar.model.errors import UserError
from kube_registrar.runtime import logs

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


def looked_at(configuration: Configuration) -> Configuration:
    """Return the settings to look with, and set up the log: quiet, unless another level than the usual is asked for.

    Raises UserError where no registry is configured.
    """
    if not configuration.registries:
        raise UserError(
            "no registry is configured: give the settings of run, such as --registry cloudmap --region REGION or "
            "--config FILE; for the embedded registry of a running operator --registry cloudmap --endpoint-url "
            "http://127.0.0.1:8081"
        )
    is_usual = configuration.log_level is LogLevel.INFO
    logs.configure(configuration.log_format, LogLevel.ERROR if is_usual else configuration.log_level)
    registries = {name: on_this_machine(entry) for name, entry in configuration.registries.items()}
    return msgspec.structs.replace(configuration, registries=registries)


def on_this_machine(entry: RegistryEntry) -> RegistryEntry:
    """Return the entry with a region, and give the SDK keys, where it asks an endpoint of this machine without any.

    The embedded registry checks none on loopback, but the SDK sends no request without them.
    """
    host = urlsplit(str(entry.options.get("endpointUrl", ""))).hostname
    if host not in _LOOPBACK:
        return entry
    if not {"AWS_ACCESS_KEY_ID", "AWS_PROFILE"} & os.environ.keys():
        os.environ.update(AWS_ACCESS_KEY_ID="any", AWS_SECRET_ACCESS_KEY="any")  # noqa: S106 - no secret
    return msgspec.structs.replace(entry, options={"region": "us-east-1", **entry.options})

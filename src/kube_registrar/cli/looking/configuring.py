"""The settings of `run`, for commands that only look."""

import msgspec

from kube_registrar.cli.loopback import on_this_machine
from kube_registrar.declared.settings import Configuration, LogLevel
from kube_registrar.model.errors import UserError
from kube_registrar.runtime import logs


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

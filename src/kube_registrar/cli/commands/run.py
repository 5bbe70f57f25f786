"""`kube-registrar run`: the operator."""

import click

from kube_registrar.cli.options import configured, settings_options


@click.command("run")
@settings_options()
def command(**flags: object) -> None:
    """Keep registries true to this cluster's workloads.

    Every setting can come from a flag, the environment or a file (--config): a flag wins over a variable, and a
    variable over the file. docs/configuration.md has them all.

    \b
      kube-registrar run --registry embedded --data ./data
      kube-registrar run --registry cloudmap --region eu-west-1
      kube-registrar run --config registrar.yaml
    """  # noqa: D301 - \b is the character by which click leaves lines as they are
    configuration = configured(flags)
    if not configuration.registries:
        from kube_registrar.model.errors import UserError  # noqa: PLC0415 - only this mistake needs it

        raise UserError(
            "no registry is configured: try --registry embedded --data FOLDER, or --registry cloudmap --region REGION, "
            "or list registries in the file of --config"
        )
    from kube_registrar.cli.run import run  # noqa: PLC0415 - the operator is heavy, and help does not need it
    from kube_registrar.runtime import logs  # noqa: PLC0415 - see above

    logs.configure(configuration.log_format, configuration.log_level)
    run(configuration)

"""`kube-registrar version`: what is installed here."""

import click

_STANDS_ON = ("kopf", "kubernetes", "boto3", "aiohttp")


@click.command("version")
def command() -> None:
    """Print the versions of this program and of what it stands on."""
    import platform  # noqa: PLC0415 - help does not wait for it
    from importlib.metadata import version  # noqa: PLC0415 - see above

    click.echo(f"kube-registrar {version('kube-registrar')}")
    click.echo(f"python {platform.python_version()}")
    for name in _STANDS_ON:
        click.echo(f"{name} {version(name)}")

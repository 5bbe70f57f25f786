"""`kube-registrar completion`: scripts for shells."""

import click
from click.shell_completion import get_completion_class


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the completion script of a shell.

    \b
      bash  eval "$(kube-registrar completion bash)"     in ~/.bashrc
      zsh   eval "$(kube-registrar completion zsh)"      in ~/.zshrc
      fish  kube-registrar completion fish > ~/.config/fish/completions/kube-registrar.fish
    """  # noqa: D301 - \b is the character by which click leaves lines as they are
    completion = get_completion_class(shell)
    assert completion is not None, "click completes each of the shells above"  # noqa: S101
    group = ctx.find_root().command
    # The shell calls back with this variable, which click reads by the program's name.
    click.echo(completion(group, {}, "kube-registrar", "_KUBE_REGISTRAR_COMPLETE").source())

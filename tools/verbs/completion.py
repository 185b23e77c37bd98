"""`m890 completion`: the script that lets a shell complete verbs and options."""

from __future__ import annotations

import click

from ..help import Verb

EXAMPLES = r"""
eval "$(m890 completion bash)"                                  in ~/.bashrc
eval "$(m890 completion zsh)"                                   in ~/.zshrc
m890 completion fish > ~/.config/fish/completions/m890.fish
"""


@click.command("completion", cls=Verb, examples=EXAMPLES)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the completion script for SHELL."""
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(ctx.find_root().command, {}, "m890", "_M890_COMPLETE").source())

"""placeholder"""
import click


@click.command("isa")
def command() -> None:
    """Placeholder."""

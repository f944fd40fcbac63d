"""A command of the vendor's own."""

import click


@click.command()
def hello() -> None:
    """Say hello."""
    click.echo("hello from acme")

"""`e2e-art models`: what is shipped."""

from __future__ import annotations

from .cli_infer import describe_models

__all__ = ["add_command"]


def add_command(commands) -> None:
    """Adds `models` to the commands."""
    models = commands.add_parser("models", help="list the shipped models", description="List the shipped models.")
    models.set_defaults(run=lambda flags: describe_models(), verbose=False)

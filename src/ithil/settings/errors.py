"""The one exception that a configuration which cannot be used turns into."""

from __future__ import annotations


class SettingsError(ValueError):
    """The configuration cannot be used, so the server must not start.

    The message names the option, where its value came from and what is allowed. It never quotes a secret.
    """

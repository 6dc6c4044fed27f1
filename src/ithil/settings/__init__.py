"""Orthanc's configuration, and ours, as one typed object.

`load` reads files, folders and the environment into `Settings`, or raises `SettingsError`. Each option is
one line in the `*_options` modules; parsing, warnings, `ithil config check` and docs/configuration.md derive
from these lines.
"""

from ithil.settings.errors import SettingsError
from ithil.settings.ithil_options import IthilSettings
from ithil.settings.loading import load
from ithil.settings.model import Settings
from ithil.settings.remotes import Modality, Peer

__all__ = ["IthilSettings", "Modality", "Peer", "Settings", "SettingsError", "load"]

"""The way from paths and the environment to `Settings`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ithil.settings import environment, files, rules
from ithil.settings.build import Report, build
from ithil.settings.model import Settings
from ithil.settings.option import Context
from ithil.settings.tree import Tree

SECRETS = Path("/run/secrets")  # where Docker and Kubernetes mount them

# What Orthanc's Docker image assumes once PostgreSQL is configured by variables.
_POSTGRESQL_OF_THE_IMAGE = {
    "EnableIndex": True,
    "Database": "postgres",
    "Username": "postgres",
    "Password": "postgres",
    "Lock": False,
}


def load(
    paths: Sequence[str | Path] = (),
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, Any] | None = None,
    *,
    secrets: Path = SECRETS,
) -> Settings:
    """The settings of the configuration files and folders `paths`, the environment and the command line.

    The environment (`os.environ` if None) wins over files, `overrides` wins over both: a tree with Orthanc's
    names, such as `{"HttpPort": 8043, "Ithil": {"Workers": 2}}`. Raises `SettingsError` if the server must
    not start; what it should only say is in `Settings.warnings`.
    """
    environ = os.environ if environ is None else environ
    places = [Path(path) for path in paths]
    report = Report()
    tree = merged(places, environ, overrides, secrets, report.remarks)
    context = Context(files.base_folder(places), report.remarks, tree.values)
    settings = build(Settings, tree, context, report)
    settings = replace(
        settings,
        configuration=tree.values,
        origins={".".join(path): origin for path, origin in tree.origins.items()},
    )
    remarks = rules.check(settings)
    warnings = (*report.warnings(), *remarks.insecure, *remarks.others)
    return replace(settings, warnings=warnings, insecure=tuple(remarks.insecure))


def merged(
    paths: Sequence[Path],
    environ: Mapping[str, str],
    overrides: Mapping[str, Any] | None,
    secrets: Path,
    remarks: list[str],
) -> Tree:
    """Everything that was configured, not yet typed."""
    if not paths:
        remarks.append("No configuration file was given: the built-in defaults are used.")
    tree = files.read(paths, environ, remarks)
    environment.apply(tree, environ, Settings, secrets, remarks)
    _assume_as_the_image(tree)
    if overrides:
        tree.merge(dict(overrides), "the command line")
    return tree


def _assume_as_the_image(tree: Tree) -> None:
    section = tree.values.get("PostgreSQL")
    by_variables = any(
        path[0] == "PostgreSQL" and origin.startswith(environment.ORIGINS)
        for path, origin in tree.origins.items()
    )
    if not isinstance(section, dict) or not by_variables:
        return
    for key, value in _POSTGRESQL_OF_THE_IMAGE.items():
        if key not in section and not ("ConnectionUri" in section and isinstance(value, str)):
            tree.set(("PostgreSQL", key), value, "the defaults for a PostgreSQL set by variables")

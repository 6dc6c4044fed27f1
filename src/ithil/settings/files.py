"""Configuration files and folders: which files are read, and how they are merged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ithil.settings import json_text
from ithil.settings.errors import SettingsError
from ithil.settings.tree import Tree


def configuration_files(paths: Sequence[Path]) -> list[Path]:
    """The files that `paths` stand for: a folder stands for its `*.json`, sorted, not for its subfolders.

    Raises `SettingsError` if a path does not exist.
    """
    files: list[Path] = []
    for path in paths:
        try:
            if path.is_dir():
                files += sorted(each for each in path.iterdir() if each.suffix == ".json" and each.is_file())
            elif path.exists():
                files.append(path)
            else:
                raise SettingsError(f"The configuration {path} does not exist")
        except OSError as error:
            raise SettingsError(f"The configuration {path} cannot be read: {error.strerror}") from None
    return files


def base_folder(paths: Sequence[Path]) -> Path:
    """Where relative paths of the configuration start: the first path's folder, else the current one."""
    if not paths:
        return Path.cwd()
    first = paths[0].absolute()
    return first if first.is_dir() else first.parent


def read(paths: Sequence[Path], environ: Mapping[str, str], warnings: list[str]) -> Tree:
    """All files merged. Raises `SettingsError` if one is unusable or two have the same top-level option."""
    tree = Tree()
    for file in configuration_files(paths):
        try:
            text = file.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            raise SettingsError(f"The configuration {file} is not UTF-8 text") from None
        except OSError as error:
            raise SettingsError(f"The configuration {file} cannot be read: {error.strerror}") from None
        values = json_text.parse(json_text.substitute(text, environ), str(file), warnings)
        for key in values:
            if key in tree.values:
                raise SettingsError(
                    f'The option "{key}" stands in two configuration files: {tree.origin((key,))} and {file}'
                )
        tree.merge(values, str(file))
    return tree

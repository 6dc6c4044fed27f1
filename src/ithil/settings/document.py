"""Writes docs/configuration.md from the declarations of the options.

`python -m ithil.settings.document > docs/configuration.md` brings the page up to date; a test compares them.
"""

from __future__ import annotations

import json

from ithil.settings.archive_options import ArchiveOptions
from ithil.settings.dicom_options import DicomOptions
from ithil.settings.environment import variable_name
from ithil.settings.http_options import HttpOptions
from ithil.settings.job_options import JobOptions
from ithil.settings.model import Settings
from ithil.settings.option import Option, options_of

_GROUPS = (ArchiveOptions, DicomOptions, HttpOptions, JobOptions)

_INTRODUCTION = """# Configuration

<!-- Written by `python -m ithil.settings.document`; change the declarations in src/ithil/settings. -->

Ithil reads Orthanc's configuration files unchanged: JSON with `//` and `/* */` comments. Any number of files
and folders may be given; of a folder, each `*.json` is read, but not its subfolders. The same option in two
files stops the start. Relative paths start from the folder of the first file or folder, or from the current
folder if there is none. Without any file the defaults below hold.

`${VAR}` in a file is replaced by an environment variable, `${VAR:-text}` by `text` if it is not set.

Each option can also be set by the variable in the table. Its value is read as JSON if it is JSON and
otherwise as text; objects are merged with those of the files. `ORTHANC_JSON` may hold a whole configuration.
A name that ends in `_SECRET` names a file in `/run/secrets` that has the value, and a file there that is
called like a variable sets it. What comes later wins: files, `ORTHANC_JSON`, variables, secrets, the command
line.

If variables configure PostgreSQL, it is used as in Orthanc's Docker image: `EnableIndex` is then true and the
database, user and password are `postgres` unless they are set. In files, `EnableIndex` must be written.

A wrong type or value stops the start. An option that Ithil does not honour is named in one warning at the
start if it is set to something else than what Ithil does anyway. An option marked "refused" stops the start,
since going on without it would lose protection or put data in the wrong place. An unknown option is named
in a warning with the nearest known name. `ithil config check` prints the configuration in force, with secrets
masked.

The defaults are those of Orthanc 1.13, but where another one is named. A dash is an option that is absent unless it
is written.
"""


def document() -> str:
    """The text of docs/configuration.md."""
    options = options_of(Settings)
    grouped = {key for group in _GROUPS for key in options_of(group)}
    rest = {key: option for key, option in options.items() if key not in grouped}
    parts = [_INTRODUCTION]
    parts += [_table(_first_line(group), (), options_of(group)) for group in _GROUPS]
    parts.append(_table("Other options", (), rest))
    parts += [
        _table(f"Section `{key}`: {_first_line(option.section)}", (key,), options_of(option.section))
        for key, option in options.items()
        if option.section is not None
    ]
    return "\n".join(parts)


def _table(title: str, path: tuple[str, ...], options: dict[str, Option]) -> str:
    lines = [
        f"## {title}\n",
        "| Option and variable | Type | Default | Meaning | Status |",
        "|---|---|---|---|---|",
    ]
    lines += [_row(path, option) for option in options.values() if option.section is None]
    return "\n".join(lines) + "\n"


def _row(path: tuple[str, ...], option: Option) -> str:
    name = f"`{'.'.join((*path, option.key))}`<br>`{variable_name((*path, option.key))}`"
    if option.aliases:
        name += "<br>also " + ", ".join(f"`{alias}`" for alias in option.aliases)
    allowed = option.kind if option.allowed.endswith(option.kind) else option.allowed
    kind = f"{allowed}, in {option.unit}" if option.unit else allowed
    default = "-" if option.default is None else f"`{json.dumps(option.default)}`"
    cells = (name, kind, default, option.meaning, _status(option))
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _status(option: Option) -> str:
    status = option.status
    if status.state == "honoured":
        return "honoured"
    state = "refused" if status.state == "refused" else "not honoured"
    return f"{state}: {status.reason}"


def _first_line(cls: type) -> str:
    return (cls.__doc__ or "").split("\n")[0].rstrip(".")


if __name__ == "__main__":
    print(document(), end="")

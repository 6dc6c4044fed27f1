"""Rules that send studies on by themselves: which studies, where to, and how patiently.

They come from `Ithil.RoutingRules` and from the REST API in the same form, so the parser stands alone. That
texts are good patterns for their tags is found out where queries are understood, in `archive.routing`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from ithil.dicom.dictionary import parse_tag
from ithil.dicom.uids import TRANSFER_SYNTAXES
from ithil.settings.option import Context, WrongValue, declare

MOST_RULES = 1000
_MOST_CONDITIONS = 50
_LONGEST_DELAY = 7 * 24 * 3600  # seconds
_MOST_RETRIES = 10_000
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")

_KEYS = frozenset(
    {
        *("Query", "Labels", "Modality", "Peer", "Transcode", "Compress"),
        *("Retries", "FirstDelay", "LongestDelay", "Enabled"),
    }
)


@dataclass(frozen=True, slots=True)
class RoutingRule:
    """One rule.

    Attributes:
        query: texts by the names of tags, as in `/tools/find` on studies; all must match.
        labels: those that the study must have.
        modality: the symbolic name of who gets the study by C-STORE, "" for a peer.
        peer: the symbolic name of the Orthanc or Ithil that gets it over HTTP, "" for a modality.
        transcode: UID of the transfer syntax to send to a peer in, "" for the stored one.
        compress: whether bodies for a peer are compressed by gzip.
        retries: how often is tried again after a failure.
        first_delay: seconds until the first of them; each other one waits twice as long.
        longest_delay: seconds between two tries, at most.
        enabled: whether the rule counts.
    """

    query: dict[str, str] = field(default_factory=dict)
    labels: tuple[str, ...] = ()
    modality: str = ""
    peer: str = ""
    transcode: str = ""
    compress: bool = False
    retries: int = 30
    first_delay: int = 30
    longest_delay: int = 3600
    enabled: bool = True


def parse_rule(value: Any, _warnings: list[str]) -> RoutingRule:
    """A rule from its JSON. Raises `WrongValue`."""
    if not isinstance(value, dict):
        raise WrongValue("an object")
    if unknown := sorted(set(value) - _KEYS):
        raise WrongValue(f'an object without the key "{unknown[0][:64]}"')
    modality, peer = _text(value, "Modality"), _text(value, "Peer")
    if bool(modality) == bool(peer):
        raise WrongValue('an object with either "Modality" or "Peer"')
    transcode = _text(value, "Transcode")
    if transcode and (transcode not in TRANSFER_SYNTAXES or not peer):
        raise WrongValue('an object whose "Transcode", for a peer, is the UID of a transfer syntax')
    return RoutingRule(
        query=_query(value.get("Query", {})),
        labels=_labels(value.get("Labels", [])),
        modality=modality,
        peer=peer,
        transcode=transcode,
        compress=_boolean(value, "Compress", False),
        retries=_count(value, "Retries", 30, 0, _MOST_RETRIES),
        first_delay=_count(value, "FirstDelay", 30, 1, _LONGEST_DELAY),
        longest_delay=_count(value, "LongestDelay", 3600, 1, _LONGEST_DELAY),
        enabled=_boolean(value, "Enabled", True),
    )


def rule_json(rule: RoutingRule) -> dict[str, Any]:
    """A rule in the form that `parse_rule` takes."""
    shown: dict[str, Any] = {
        "Query": rule.query,
        "Labels": list(rule.labels),
        "Retries": rule.retries,
        "FirstDelay": rule.first_delay,
        "LongestDelay": rule.longest_delay,
        "Enabled": rule.enabled,
    }
    if rule.modality:
        return {**shown, "Modality": rule.modality}
    return {**shown, "Peer": rule.peer, "Transcode": rule.transcode, "Compress": rule.compress}


def routing_rules(key: str, meaning: str) -> Any:
    """The field of an option that names rules."""

    def convert(value: Any, context: Context) -> dict[str, RoutingRule]:
        if not isinstance(value, dict) or len(value) > MOST_RULES:
            raise WrongValue("an object of rules by name")
        rules = {}
        for name, below in value.items():
            if not _NAME.match(name):
                raise WrongValue(
                    f'an object whose names have 1 to 64 of A-Z, a-z, 0-9, "_" and "-", not "{name}"'
                )
            try:
                rules[name] = parse_rule(below, context.warnings)
            except WrongValue as wrong:
                raise WrongValue(f'an object in which "{name}" is {wrong}') from None
        return rules

    return declare(key, "object of rules", {}, meaning, "an object of rules by name", convert)


def _query(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or len(value) > _MOST_CONDITIONS:
        raise WrongValue(f'an object whose "Query" is an object of at most {_MOST_CONDITIONS} strings')
    for name, text in value.items():
        if not isinstance(text, str) or "\0" in text:
            raise WrongValue('an object whose "Query" is an object of strings')
        try:
            parse_tag(name)
        except ValueError:
            raise WrongValue(f'an object whose "Query" has names of DICOM tags, not "{name[:64]}"') from None
    return dict(value)


def _labels(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > _MOST_CONDITIONS:
        raise WrongValue('an object whose "Labels" is an array of strings')
    if not all(isinstance(each, str) and "\0" not in each for each in value):
        raise WrongValue('an object whose "Labels" is an array of strings')
    return tuple(value)


def _text(value: dict[str, Any], key: str) -> str:
    found = value.get(key, "")
    if not isinstance(found, str):
        raise WrongValue(f'an object whose "{key}" is a string')
    return found


def _boolean(value: dict[str, Any], key: str, default: bool) -> bool:
    found = value.get(key, default)
    if not isinstance(found, bool):
        raise WrongValue(f'an object whose "{key}" is true or false')
    return found


def _count(value: dict[str, Any], key: str, default: int, low: int, high: int) -> int:
    found = value.get(key, default)
    if isinstance(found, bool) or not isinstance(found, int) or not low <= found <= high:
        raise WrongValue(f'an object whose "{key}" is an integer from {low} to {high}')
    return found

"""What a job that edits instances was asked for, and what clients see of it at first."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ithil.archive.model import Origin
from ithil.dicom.level import Level
from ithil.edit.recipe import Recipe


@dataclass(frozen=True, slots=True)
class EditArguments:
    """What was submitted.

    Attributes:
        recipe: what is done with each instance.
        level: of the resources that were asked for, whose copies clients are told of.
        instances: public ids in a fixed order.
        keep_source: whether the instances stay beside their edited forms.
        keep_labels: whether labels are copied to the resources that come into being.
        permissive: whether an instance that cannot be edited is passed over.
        transcode: the UID of the transfer syntax to store in, "" for that of each instance.
        quality: of a lossy transfer syntax, None for the configured one.
        origin: who asked.
        submitted: when, as the change log writes it.
    """

    recipe: Recipe
    level: Level
    instances: list[str]
    keep_source: bool = True
    keep_labels: bool = False
    permissive: bool = False
    transcode: str = ""
    quality: int | None = None
    origin: Origin = field(default_factory=Origin)
    submitted: str = ""

    def to_json(self) -> dict[str, Any]:
        """As a job keeps them."""
        return {
            "Recipe": self.recipe.to_json(),
            "Level": int(self.level),
            "Instances": self.instances,
            "KeepSource": self.keep_source,
            "KeepLabels": self.keep_labels,
            "Permissive": self.permissive,
            "Transcode": self.transcode,
            "Quality": self.quality,
            "RemoteIp": self.origin.remote_ip,
            "Username": self.origin.http_username,
            "Submitted": self.submitted,
        }

    @classmethod
    def from_json(cls, json: dict[str, Any]) -> EditArguments:
        """The inverse of `to_json`."""
        return cls(
            recipe=Recipe.from_json(json["Recipe"]),
            level=Level(json["Level"]),
            instances=json["Instances"],
            keep_source=json["KeepSource"],
            keep_labels=json["KeepLabels"],
            permissive=json["Permissive"],
            transcode=json["Transcode"],
            quality=json["Quality"],
            origin=Origin("RestApi", remote_ip=json["RemoteIp"], http_username=json["Username"]),
            submitted=json["Submitted"],
        )

    def content(self, **more: Any) -> dict[str, Any]:
        """What clients see of the job before it has begun."""
        return {
            "Description": "REST API",
            "InstancesCount": len(self.instances),
            "FailedInstancesCount": 0,
            **more,
        }

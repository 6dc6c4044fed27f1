"""With what the links in metadata begin, before anybody has asked for it.

The document of a series is built with the links of the client that is expected: at the address that the
operator has set, else at the one that most clients of late came by. A wrong guess costs time and nothing else,
since the links are exchanged for whoever comes by another address.
"""

from __future__ import annotations

from dataclasses import dataclass

from ithil.archive.archive import Archive

_MOST_VOTES = 20


def configured(archive: Archive) -> str:
    """With what links begin as the operator says, "" if he does not."""
    host = archive.settings.dicom_web.host
    return _root_at(archive, host) if host else ""


def own(archive: Archive) -> str:
    """With what links begin for a client on this machine."""
    return _root_at(archive, f"localhost:{archive.settings.http_port}")


def _root_at(archive: Archive, authority: str) -> str:
    options = archive.settings.dicom_web
    scheme = "https" if options.ssl or archive.settings.ssl_enabled else "http"
    path = (options.public_root if options.public_root is not None else options.root).strip("/")
    return f"{scheme}://{authority}/{path}".rstrip("/")


@dataclass(slots=True)
class Expected:
    """The root that most clients of late needed, as a guess at the next.

    Anybody can ask under any name, so a single request does not outvote the others.
    """

    root: str = ""
    votes: int = 0

    def seen(self, root: str) -> None:
        """A client needs links which begin with `root`."""
        if root == self.root:
            self.votes = min(self.votes + 1, _MOST_VOTES)
        elif self.votes > 1:
            self.votes -= 1
        else:
            self.root, self.votes = root, 1


expected = Expected()
"""That of the clients of this process."""

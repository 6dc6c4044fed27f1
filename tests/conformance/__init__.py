"""Conformance: the same requests to Debian's Orthanc and to Ithil, and every difference accounted for.

Adding a route is one line in one of the tables (`reading`, `uploading`, `changing`, `access`):

    Ask("GET", "/series/{series:CT_small}/ordered-slices"),
    Ask("GET", "/instances/{instance}/tags"),            # {instance} alone: of every stored file

Where Ithil differs on purpose the line says so, with the reason, and docs/compatibility.md repeats it:

    Ask("GET", "/tools/lookup", ours=(Difference("status", "...why...", 200),)),

A difference that nobody declared fails the test, and so does a declared one that is gone. The same tables as
a report: `python -m tests.conformance` (`--help` tells more).
"""

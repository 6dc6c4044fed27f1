"""`/jobs`, over an asynchronous archive, the job that both servers run without another server's help.

What can be done with jobs that wait, run, are paused or have failed is tested in tests/unit/rest/test_jobs.py as
it was seen at Orthanc 1.10: nothing holds a job of both servers in these states for as long as a scenario takes.
"""

from __future__ import annotations

from tests.conformance.line import Ask, Difference, Scenario

_CT = "pydicom/CT_small.dcm"
_ARCHIVE = '{"Asynchronous": true, "Priority": 7}'
_ACTIONS = ("cancel", "pause", "resume", "resubmit")
_SIZE = "Each server packs in its own way."
_PACKED = tuple(
    Difference(f"body.{below}Content.{name}", _SIZE) for below in ("", "0.") for name in ("ArchiveSize",)
)
_METHODS = Difference(
    "*",
    "A path that has a route for another method only is 405 with the methods it has; Orthanc 1.10 takes the name "
    "of an action for that of an output.",
)

JOBS = Scenario(
    "jobs",
    (
        Ask("GET", "/jobs"),
        Ask("GET", "/jobs?expand"),
        Ask("GET", "/jobs/nope"),
        Ask("GET", "/jobs/nope/archive"),
        *(Ask("POST", f"/jobs/nope/{action}") for action in _ACTIONS),
        Ask("POST", "/jobs"),
        Ask("POST", "/jobs/nope/pause", "{not json"),
        Ask("GET", "/jobs/nope/cancel", ours=(_METHODS,)),
        Ask("POST", "/patients/{patient:CT_small}/archive", _ARCHIVE),
        Ask("GET", "/jobs/{job:ended}", ours=_PACKED[:1]),
        Ask("GET", "/jobs"),
        Ask("GET", "/jobs?expand", ours=_PACKED[1:]),
        *(Ask("POST", f"/jobs/{{job}}/{action}") for action in _ACTIONS),
        Ask("GET", "/jobs/{job}", ours=_PACKED[:1]),
        Ask("GET", "/jobs/{job}/archive", compare="status"),
        Ask("GET", "/jobs/{job}/nope"),
        Ask(
            "GET",
            "/jobs/{job}/archive",
            headers={"Range": "bytes=0-3"},
            compare="status",
            ours=(Difference("status", "Parts of the outputs of jobs can be asked for.", 206, 200),),
        ),
        Ask(
            "DELETE",
            "/jobs/{job}/archive",
            compare="status",
            ours=(Difference("status", "Outputs can be deleted since Orthanc 1.12.1.", 200, 405),),
        ),
        Ask(
            "DELETE",
            "/jobs/{job}",
            compare="status",
            ours=(Difference("status", "Jobs can be deleted since Orthanc 1.12.2.", 200, 405),),
        ),
    ),
    files=(_CT,),
)

"""`/modalities` and `/queries`: both servers ask the same of a third one, an Orthanc."""

from __future__ import annotations

from functools import partial

from tests.conformance.line import ABSENT, Ask, Difference, Scenario
from tests.data.real import content_of

_SERIES = tuple(f"pydicom/dicomdirtests/77654033/CT2/{number}" for number in (17106, 17136, 17166, 17196))
_CT, _MR, _PLAN = "pydicom/CT_small.dcm", "pydicom/MR_small_RLE.dcm", "pydicom/rtplan.dcm"
_ct = partial(content_of, _CT)

_STUDY_UID = "1.3.6.1.4.1.5962.1.2.1.20040119072730.12322"
_SERIES_UID = "1.3.6.1.4.1.5962.1.3.1.1.20040119072730.12322"

_ADDED = (Difference("body*RetrieveMethod", "RetrieveMethod came with Orthanc 1.12.6.", theirs=ABSENT),)
_GET_ADDED = Difference("body*", "C-GET came with Orthanc 1.12.6, and `get` with it.")


def _code(reason: str, ours: int, theirs: int) -> tuple[Difference, ...]:
    return (
        Difference("body.OrthancStatus", reason, ours=ours, theirs=theirs),
        Difference("body.Message", reason),
        Difference("body.OrthancError", reason),
    )


_FORM = _code("What is wrong with an entry is a matter of its form.", 15, 3)
_LONG_TITLE = (
    Difference("status", "A title has 16 characters at most (PS3.5 6.2).", ours=400, theirs=200),
    Difference("body*", "A title has 16 characters at most (PS3.5 6.2)."),
    Difference("header.content-type", "A title has 16 characters at most (PS3.5 6.2)."),
)


def _mistake(
    theirs: int, reason: str = "A mistake of the client's is told as one."
) -> tuple[Difference, ...]:
    return (
        Difference("status", reason, ours=400, theirs=theirs),
        Difference("body*", reason),
        Difference("header.content-type", reason),
    )


def _put(name: str, body: str, ours: tuple[Difference, ...] = ()) -> Ask:
    return Ask("PUT", f"/modalities/{name}", body, note=body, ours=ours)


_GOOD = '"AET": "NEW", "Host": "localhost", "Port": 104'

MODALITIES = Scenario(
    "modalities",
    (
        Ask("GET", "/modalities"),
        Ask("GET", "/modalities/third", ours=(_GET_ADDED,)),
        Ask("GET", "/modalities/nope"),
        Ask("GET", "/modalities/dead/configuration", ours=_ADDED),
        Ask("GET", "/modalities/nope/configuration"),
        _put("new", f"{{{_GOOD}}}"),
        Ask("GET", "/modalities/new/configuration", ours=_ADDED),
        _put("new", '["NEWS", "localhost", "105", "GE"]'),
        Ask("GET", "/modalities/new/configuration", note="replaced", ours=_ADDED),
        _put("new", f'{{{_GOOD}, "AllowEcho": false, "Timeout": 5, "LocalAet": "ME", "UseDicomTls": true}}'),
        _put("more", f'{{{_GOOD}, "AllowStorageCommitment": false, "AllowTranscoding": false}}'),
        Ask("GET", "/modalities/new/configuration", note="all of it", ours=_ADDED),
        Ask("GET", "/modalities/more/configuration", ours=_ADDED),
        Ask("GET", "/modalities", note="added"),
        _put("bad", '["NEWS", "localhost"]'),
        _put("bad", '{"AET": "NEW"}'),
        _put("bad", '{"AET": "NEW", "Host": "localhost", "Port": 0}', _FORM),
        _put("bad", f'{{{_GOOD}, "Manufacturer": "Nobody"}}', _FORM),
        _put("bad", '{"AET": 5, "Host": "localhost", "Port": 104}'),
        _put("bad", '{"AET": "MUCHTOOLONGFORATITLE", "Host": "localhost", "Port": 104}', _LONG_TITLE),
        Ask(
            "DELETE",
            "/modalities/bad",
            compare="status",
            ours=(
                Difference("status", "The title that was too long was not accepted.", ours=404, theirs=200),
            ),
        ),
        _put("bad", "{}"),
        _put("bad", "[]"),
        _put("bad", "x"),
        _put("b%20d", f"{{{_GOOD}}}"),
        _put("b.d", f"{{{_GOOD}}}"),
        Ask("DELETE", "/modalities/more"),
        Ask("DELETE", "/modalities/more", note="again"),
        Ask("DELETE", "/modalities/dead"),
        Ask("GET", "/modalities", note="removed"),
        Ask("POST", "/modalities/third/echo"),
        Ask("POST", "/modalities/third/echo", "{}", note="an empty object"),
        Ask("POST", "/modalities/third/echo", '{"CheckFind": true, "Timeout": 4}', note="with C-FIND"),
        Ask("POST", "/modalities/third/echo", '{"Timeout": "a"}', note="no time"),
        Ask("POST", "/modalities/third/echo", '{"CheckFind": 3}', note="no Boolean"),
        Ask("POST", "/modalities/third/echo", "[]", note="an array"),
        Ask("POST", "/modalities/third/echo", "x", note="no JSON"),
        Ask("POST", "/modalities/nope/echo", "{}"),
        Ask("POST", "/modalities/dead/echo", "{}", note="removed"),
        Ask("GET", "/modalities/third/echo"),
    ),
    third=(),
)


def _query(body: str, ours: tuple[Difference, ...] = (), *, status: bool = True) -> Ask:
    compare = "status" if status else "all"
    return Ask("POST", "/modalities/third/query", body, note=body, compare=compare, ours=ours)


_META = Difference(
    "body*", "An answer of 1.10 has an element of the file meta information, which messages never have."
)
_DETAILS = (
    Difference("body.Details*", "Details came with Orthanc 1.12.6.", theirs=ABSENT),
    Difference("body.TargetAet", "TargetAet came after Orthanc 1.10.", theirs=ABSENT),
)
_SOP_UID = Difference("body.Query*", "An instance is shown with its SOPInstanceUID.", theirs=ABSENT)
_OBJECT = _mistake(500)


def _retrieve(path: str, body: str, ours: tuple[Difference, ...] = _DETAILS) -> Ask:
    return Ask("POST", f"/queries/{{query}}/{path}", body, note=body, ours=ours)


QUERIES = Scenario(
    "queries",
    (
        _query('{"Level": "Study", "Query": {"PatientID": "*", "StudyDescription": ""}}'),
        Ask("GET", "/queries/{query}"),
        Ask("GET", "/queries/{query}/level"),
        Ask("GET", "/queries/{query}/modality"),
        *(Ask("GET", f"/queries/{{query}}/query{form}") for form in ("", "?simplify", "?short")),
        *(Ask("GET", f"/queries/{{query}}/answers{form}") for form in ("", "?expand", "?expand&simplify")),
        Ask("GET", "/queries/{query}/answers?expand&short", headers={"Accept": "application/xml"}),
        *(Ask("GET", f"/queries/{{query}}/answers/{number}") for number in ("0", "99", "-1", "abc")),
        *(Ask("GET", f"/queries/{{query}}/answers/{number}/content") for number in ("0", "99", "abc")),
        Ask("GET", "/queries/{query}/answers/1/content?simplify"),
        _retrieve("answers/1/retrieve", "THIRD"),
        _retrieve("answers/1/retrieve", '{"TargetAet": "THIRD"}'),
        _retrieve("answers/1/retrieve", '{"TargetAet": "THIRD", "Full": true}'),
        _retrieve("answers/1/retrieve", '{"TargetAet": "THIRD", "Simplify": true}'),
        _retrieve("retrieve", '{"TargetAet": "THIRD"}'),
        Ask(
            "POST",
            "/queries/{query}/retrieve",
            '{"TargetAet": "THIRD", "Asynchronous": true}',
            compare="status",
        ),
        Ask("GET", "/jobs/{job:ended}", compare="status"),
        _retrieve(
            "answers/1/retrieve",
            '{"TargetAet": "NOPE"}',
            (Difference("body.ErrorPayload*", "ErrorPayload came with Orthanc 1.12.10.", theirs=ABSENT),),
        ),
        _retrieve("answers/1/retrieve", '{"TargetAet": 5}', ()),
        _retrieve("answers/1/retrieve", "[]", _OBJECT),
        _retrieve("answers/abc/retrieve", "THIRD", ()),
        _retrieve("answers/99/retrieve", "THIRD", ()),
        Ask("POST", "/queries/{query}/answers/0/query-studies", '{"Query": {}}'),
        Ask("POST", "/queries/{query}/answers/0/query-series", "[]", ours=_OBJECT),
        Ask("POST", "/queries/{query}/answers/0/query-series", "", note="no body"),
        Ask(
            "POST",
            "/queries/{query}/answers/0/query-series",
            '{"Query": {}}',
            compare="status",
            note="series",
        ),
        Ask("GET", "/queries/{query}/level", note="series"),
        Ask("GET", "/queries/{query}/query?simplify", note="series"),
        Ask("GET", "/queries/{query}/answers?expand&simplify", note="series"),
        Ask("GET", "/queries/{query}/answers/0", note="series"),
        _retrieve("answers/0/retrieve", '{"TargetAet": "THIRD", "Short": true}'),
        Ask(
            "POST",
            "/queries/{query}/answers/0/query-instances",
            '{"Query": {"InstanceNumber": ""}, "Timeout": 3}',
            compare="status",
        ),
        Ask("GET", "/queries/{query}/query?simplify", note="instances"),
        Ask("GET", "/queries/{query}/answers?expand&simplify", note="instances", ours=(_META,)),
        Ask("GET", "/queries/{query}/answers/0", note="instances"),
        _retrieve(
            "answers/0/retrieve", '{"TargetAet": "THIRD", "Asynchronous": false}', (*_DETAILS, _SOP_UID)
        ),
        Ask("DELETE", "/queries/{query}"),
        Ask("DELETE", "/queries/{query}", note="again"),
        Ask("GET", "/queries/{query}", note="deleted"),
        _query('{"Level": "Patient", "Query": {"PatientName": "*"}}'),
        Ask("GET", "/queries/{query}/answers/0", note="patients"),
        Ask("GET", "/queries/{query}/answers?expand&simplify", note="patients"),
        Ask(
            "POST",
            "/queries/{query}/answers/0/query-studies",
            '{"Query": {"StudyDescription": "", "PatientID": "other"}}',
            compare="status",
            note="studies",
        ),
        Ask("GET", "/queries/{query}/query?simplify", note="studies"),
        Ask("GET", "/queries/{query}/answers?expand&simplify", note="studies"),
        _query('{"Level": "studies", "Query": {"PatientID": "nobody"}}'),
        Ask("GET", "/queries/{query}/answers", note="none"),
        _retrieve("retrieve", "{}"),
        Ask("GET", "/queries/nope"),
        Ask("GET", "/queries/nope/level"),
        Ask("GET", "/queries/nope/answers"),
        Ask("GET", "/queries/nope/answers/0/content"),
        Ask("POST", "/queries/nope/answers/0/retrieve", "X"),
        _query('{"Level": "Study"}'),
        _query('{"Query": {}}', status=False),
        _query('{"Level": "Nothing", "Query": {}}', status=False),
        _query(
            '{"Level": 5, "Query": {}}', _code("A level that is no text is no level.", 3, 15), status=False
        ),
        _query('{"Level": "Study", "Query": {"Nothing": "a"}}', status=False),
        _query('{"Level": "Study", "Query": {"PatientID": 5}}', status=False),
        _query('{"Level": "Study", "Query": {"PatientID": null}}', status=False),
        _query('{"Level": "Study", "Query": []}', status=False),
        _query('{"Level": "Study", "Query": {"PatientID": "a"}, "Normalize": 5}', status=False),
        _query('{"Level": "Study", "Query": {"PatientID": "a"}, "Timeout": "a"}', status=False),
        _query('{"Level": "Study", "Query": {"PatientID": "a"}, "LocalAet": 5}', status=False),
        _query('{"Level": "Study", "Query": {"StudyDate": "2000?"}}', status=False),
        _query("[]", status=False),
        _query("x", status=False),
        Ask("POST", "/modalities/nope/query", '{"Level": "Study", "Query": {}}'),
        Ask("POST", "/modalities/dead/query", '{"Level": "Study", "Query": {}}'),
    ),
    third=(_CT, _MR, _PLAN, *_SERIES),
)

_SENT = '"{study:CT_small}"'
_NEW_KEYS = (
    Difference(
        "body.*PerformedProcedureStepStart*", "Main tags of series since Orthanc 1.11.", theirs=ABSENT
    ),
)


def _find(level: str, body: str, ours: tuple[Difference, ...] = ()) -> Ask:
    return Ask("POST", f"/modalities/third/find{level}", body, note=body, ours=ours)


_UIDS = f'"PatientID": "1CT1", "StudyInstanceUID": "{_STUDY_UID}"'
_ALL_UIDS = f'{_UIDS}, "SeriesInstanceUID": "{_SERIES_UID}"'
_A_JOB = (
    Difference("body*", "It is a job since Orthanc 1.11, and tells of it."),
    Difference("header.content-type", "So its answer has a character set."),
)


def _move(body: str, ours: tuple[Difference, ...] = _A_JOB) -> Ask:
    return Ask("POST", "/modalities/third/move", body, note=body, ours=ours)


_FAILED_JOB = (
    Difference("status", "A job that fails is answered with the status of its code.", ours=500, theirs=422),
    Difference("body.*", "A job that fails is answered with the status of its code."),
)
_WORKLIST = "/modalities/third/find-worklist"

FINDING = Scenario(
    "finding and moving",
    (
        _find("-patient", "{}"),
        _find("-patient", '{"PatientName": "*"}'),
        _find("-patient", "x"),
        _find("-study", '{"PatientName": "*"}'),
        _find("-study", '{"PatientID": "1CT1"}'),
        _find("-series", '{"PatientID": "1CT1"}'),
        _find("-series", f"{{{_UIDS}}}", _NEW_KEYS),
        _find("-instance", f"{{{_UIDS}}}"),
        _find("-instance", f"{{{_ALL_UIDS}}}", (_META,)),
        _find("", '{"PatientID": "1CT1"}', _NEW_KEYS),
        _find("", '{"Nothing": ""}'),
        _find("", "[]"),
        _find("", "x"),
        Ask("POST", "/modalities/nope/find", "{}"),
        Ask("POST", "/modalities/nope/find-patient", "{}"),
        Ask("POST", "/modalities/dead/find", "{}"),
        Ask("POST", _WORKLIST, '{"PatientName": ""}'),
        Ask("POST", _WORKLIST, '{"Query": {"PatientName": ""}}', note="in Query"),
        Ask("POST", _WORKLIST, "[]", note="an array", ours=_OBJECT),
        Ask("POST", "/modalities/nope/find-worklist", "{}"),
        _move(
            f'{{"Level": "Study", "Resources": [{{"StudyInstanceUID": "{_STUDY_UID}"}}], "TargetAet": "THIRD"}}'
        ),
        _move('{"Level": "Patient", "Resources": [{"PatientID": "1CT1"}], "TargetAet": "THIRD"}'),
        _move(
            '{"Level": "Study", "Resources": [{"StudyInstanceUID": "1.2.3"}], "TargetAet": "THIRD"}',
            _FAILED_JOB,
        ),
        _move('{"Level": "Nothing", "Resources": [{"PatientID": "1CT1"}]}', ()),
        _move('{"Level": "Study", "Resources": [{"PatientID": "1CT1"}]}', ()),
        _move('{"Level": "Series", "Resources": [{"SeriesInstanceUID": "1.3"}]}', ()),
        _move('{"Level": "Patient", "Resources": ["1CT1"]}', ()),
        _move('{"Level": "Patient", "Resources": []}'),
        _move('{"Level": "Patient"}', ()),
        _move('{"Resources": []}', ()),
        _move('{"Level": "Patient", "Resources": [{"Nothing": "1CT1"}]}', ()),
        _move("[]", ()),
        _move("x", ()),
        Ask("POST", "/modalities/nope/move", '{"Level": "Patient", "Resources": [{"PatientID": "1"}]}'),
        Ask("POST", "/modalities/dead/move", '{"Level": "Patient", "Resources": [{"PatientID": "1"}]}'),
    ),
    third=(_CT, _MR, _PLAN, *_SERIES),
)

_CT_STUDY = "8a8cf898-ca27c490-d0c7058c-929d0581-2bbf104d"
_UNKNOWN = "8a8cf898-ca27c490-d0c7058c-929d0581-2bbf1040"


def _store(body: str, ours: tuple[Difference, ...] = ()) -> Ask:
    return Ask("POST", "/modalities/third/store", body, note=body, ours=ours)


_ONE = f'"Resources": ["{_CT_STUDY}"]'

SENDING = Scenario(
    "sending",
    (
        _store(_CT_STUDY),
        _store(f'"{_CT_STUDY}"'),
        _store(f'["{_CT_STUDY}"]'),
        _store(f"{{{_ONE}}}"),
        _store(
            f'{{{_ONE}, "LocalAet": "ME", "MoveOriginatorAet": "MO", "MoveOriginatorID": 42, "Timeout": 10, '
            '"Permissive": true, "Priority": 3}'
        ),
        _store("[]"),
        _store("{}"),
        _store(""),
        _store("x"),
        _store("5"),
        _store("[5]"),
        _store('["x"]'),
        _store(_UNKNOWN),
        _store('{"Resources": 5}'),
        _store(f'{{{_ONE}, "LocalAet": 5}}'),
        _store(f'{{{_ONE}, "Timeout": "a"}}'),
        _store(f'{{{_ONE}, "Timeout": -1}}'),
        _store(f'{{{_ONE}, "MoveOriginatorAet": "A", "MoveOriginatorID": 70000}}'),
        _store(f'{{{_ONE}, "MoveOriginatorAet": "A", "MoveOriginatorID": "x"}}'),
        _store(f'{{{_ONE}, "StorageCommitment": 5}}'),
        Ask("POST", "/modalities/nope/store", _CT_STUDY),
        Ask("POST", "/modalities/dead/store", _CT_STUDY),
        Ask("POST", "/modalities/dead/store", f'{{{_ONE}, "Asynchronous": true}}', compare="status"),
        Ask("GET", "/jobs/{job:ended}", compare="status"),
        Ask("POST", "/modalities/third/store-straight", _ct),
        Ask("POST", "/modalities/third/store-straight", "x", note="no DICOM"),
        Ask("POST", "/modalities/third/store-straight", "", note="nothing"),
        Ask("POST", "/modalities/dead/store-straight", _ct),
        Ask("POST", "/modalities/nope/store-straight", _ct),
        Ask("GET", "/exports?limit=2", compare="status"),
    ),
    files=(_CT, _MR),
    configuration={"LogExportedResources": True},
    third=(),
)

ASKING = (MODALITIES, QUERIES, FINDING, SENDING)

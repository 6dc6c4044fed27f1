"""Public identifiers: how a patient, study, series or instance is named in URLs.

Orthanc derives them from the DICOM identifiers, so every copy of an instance has the same name in every
server, and clients compute them for themselves. Never change a byte of this.
"""

from __future__ import annotations

from hashlib import sha1

_BLANKS = " \t\n\v\f\r"


def _dashed(digest: str) -> str:
    return f"{digest[:8]}-{digest[8:16]}-{digest[16:24]}-{digest[24:32]}-{digest[32:]}"


def public_ids(patient_id: str, study_uid: str, series_uid: str, sop_uid: str) -> tuple[str, str, str, str]:
    """The public ids of the patient, study, series and instance that these DICOM identifiers belong to.

    The values are what the scanner shows: decoded text, hashed as UTF-8, without surrounding blanks.
    A missing PatientID is the empty string.
    """
    # Each id hashes the text of the one above plus `|` and one more identifier, so one hash state is grown.
    state = sha1(patient_id.strip(_BLANKS).encode("utf-8", "surrogatepass"), usedforsecurity=False)
    patient = state.hexdigest()
    state.update(b"|" + study_uid.strip(_BLANKS).encode("utf-8", "surrogatepass"))
    study = state.hexdigest()
    state.update(b"|" + series_uid.strip(_BLANKS).encode("utf-8", "surrogatepass"))
    series = state.hexdigest()
    state.update(b"|" + sop_uid.strip(_BLANKS).encode("utf-8", "surrogatepass"))
    return _dashed(patient), _dashed(study), _dashed(series), _dashed(state.hexdigest())


def _hash(*identifiers: str) -> str:
    text = "|".join(identifier.strip(_BLANKS) for identifier in identifiers)
    return _dashed(sha1(text.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest())


def patient_id(patient: str) -> str:
    """The public id of the patient with this PatientID."""
    return _hash(patient)


def study_id(patient: str, study_uid: str) -> str:
    """The public id of a study; the same study under another PatientID is another study."""
    return _hash(patient, study_uid)


def series_id(patient: str, study_uid: str, series_uid: str) -> str:
    """The public id of a series."""
    return _hash(patient, study_uid, series_uid)


def instance_id(patient: str, study_uid: str, series_uid: str, sop_uid: str) -> str:
    """The public id of an instance."""
    return _hash(patient, study_uid, series_uid, sop_uid)


def is_public_id(text: str) -> bool:
    """Whether `text` has the form of a public id: five groups of eight lower-case hexadecimal digits."""
    groups = text.split("-")
    return len(groups) == 5 and all(len(group) == 8 and set(group) <= _HEX for group in groups)


_HEX = frozenset("0123456789abcdef")

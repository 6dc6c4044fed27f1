"""Environment variables: their names, their values, secrets."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ithil.settings import Settings, SettingsError, load
from ithil.settings.environment import target, variable_name
from ithil.settings.option import options_of


def _all_paths() -> list[tuple[str, ...]]:
    paths: list[tuple[str, ...]] = []

    def walk(cls: type, path: tuple[str, ...]) -> None:
        for key, option in options_of(cls).items():
            paths.append((*path, key))
            if option.section is not None:
                walk(option.section, (*path, key))

    walk(Settings, ())
    return paths


_PATHS = _all_paths()


@pytest.mark.parametrize("path", _PATHS, ids=".".join)
def test_the_name_of_each_option_leads_back_to_it(path: tuple[str, ...]) -> None:
    found = target(variable_name(path), Settings)
    assert found is not None
    assert found.path == path
    assert not found.is_below


def test_no_two_options_share_a_name() -> None:
    names = [variable_name(path) for path in _PATHS]
    assert len(set(names)) == len(names)


@given(st.sampled_from(_PATHS), st.data())
def test_underscores_and_digits_may_be_placed_as_in_the_docker_image(
    path: tuple[str, ...], data: st.DataObject
) -> None:
    key = path[-1].replace("_", "")
    cuts = data.draw(st.sets(st.integers(1, max(1, len(key) - 1)), max_size=4))
    part = "".join(("_" if i in cuts else "") + char for i, char in enumerate(key)).upper()
    parents = "".join(f"{variable_name((parent,))[len('ORTHANC__') :]}__" for parent in path[:-1])
    if path[0] == "Ithil":
        parents = "ITHIL__" if len(path) > 1 else ""
    found = target(f"ORTHANC__{parents}{part}", Settings)
    assert found is not None
    assert found.path == path


@pytest.mark.parametrize(
    ("variable", "path"),
    [
        ("ORTHANC__STABLE_AGE", ("StableAge",)),
        ("ORTHANC__DICOM_WEB__ROOT", ("DicomWeb", "Root")),
        ("ORTHANC__CASE_SENSITIVE_PN", ("CaseSensitivePN",)),
        ("ORTHANC__HTTPS_CA_CERTIFICATES", ("HttpsCACertificates",)),
        ("ORTHANC__STORE_MD5_FOR_ATTACHMENTS", ("StoreMD5ForAttachments",)),
        ("ORTHANC__POSTGRESQL__ENABLE_INDEX", ("PostgreSQL", "EnableIndex")),
        ("ORTHANC__POSTGRESQL__PASSWORD", ("PostgreSQL", "Password")),
        ("ORTHANC__MYSQL__UNIX_SOCKET", ("MySQL", "UnixSocket")),
        ("ORTHANC__MAXIMUM_REQUEST_BODY_SIZE_MB", ("MaximumRequestBodySizeMB",)),
        ("ORTHANC__MAXIMUM_REQUEST_BODY_SIZE_M_B", ("MaximumRequestBodySizeMB",)),
        ("ORTHANC__ORTHANC_EXPLORER_2__ENABLE", ("OrthancExplorer2", "Enable")),
        ("ORTHANC__REJECT_SOP_CLASSES", ("RejectedSopClasses",)),
        ("ORTHANC__DICOM_MODALITIES__MY_PACS", ("DicomModalities", "MyPacs")),
        ("ORTHANC__MY_PLUGIN__SOME_KEY", ("MyPlugin", "SomeKey")),
        ("ITHIL__MAXIMUM_IN_FLIGHT_MB", ("Ithil", "MaximumInFlightMB")),
    ],
)
def test_names(variable: str, path: tuple[str, ...]) -> None:
    found = target(variable, Settings)
    assert found is not None
    assert found.path == path


@pytest.mark.parametrize("variable", ["PATH", "ORTHANC", "ORTHANC__", "ORTHANC_JSON", "ITHIL_WORKERS"])
def test_other_variables_are_not_configuration(variable: str) -> None:
    assert target(variable, Settings) is None


def _load(environ: dict[str, str], secrets: Path = Path("absent")) -> Settings:
    return load([], environ, secrets=secrets)


def test_values_are_json_where_they_parse_and_text_otherwise() -> None:
    settings = _load(
        {
            "ORTHANC__DICOM_PORT": "11112",
            "ORTHANC__STORAGE_COMPRESSION": "true",
            "ORTHANC__NAME": "An archive",
            "ORTHANC__DICOM_AET": '"QUOTED"',
            "ORTHANC__USER_METADATA": '{"a": 1024}',
            "ITHIL__STABILITY_SWEEP_SECONDS": "2",
        }
    )
    assert settings.dicom_port == 11112
    assert settings.storage_compression is True
    assert settings.name == "An archive"
    assert settings.dicom_aet == "QUOTED"
    assert settings.user_metadata == {"a": 1024}
    assert settings.ithil.stability_sweep_seconds == 2.0


@pytest.mark.parametrize("password", ["1234", "true", "null", "[1]", '{"a": 1}', "1e5", "007", "it's"])
def test_a_password_that_looks_like_json_stays_text(password: str) -> None:
    settings = _load(
        {
            "ORTHANC__POSTGRESQL__PASSWORD": password,
            "ORTHANC__REGISTERED_USERS__ALICE": password,
        }
    )
    assert settings.postgresql.password == password
    assert settings.registered_users == {"Alice": password}


def test_objects_are_merged_and_the_environment_wins(tmp_path: Path) -> None:
    file = tmp_path / "orthanc.json"
    file.write_text('{"DicomPort": 1, "RegisteredUsers": {"a": "1", "b": "2"}, "UserMetadata": {"x": 2000}}')
    settings = load(
        [file],
        {
            "ORTHANC_JSON": '{"DicomPort": 2, "HttpPort": 3, /* c */ "UserMetadata": {"y": 2001}}',
            "ORTHANC__REGISTERED_USERS": '{"b": "3"}',
            "ORTHANC__HTTP_PORT": "4",
        },
        secrets=tmp_path / "absent",
    )
    assert settings.dicom_port == 2
    assert settings.http_port == 4
    assert settings.registered_users == {"a": "1", "b": "3"}
    assert settings.user_metadata == {"x": 2000, "y": 2001}
    assert settings.origins["DicomPort"] == "environment variable ORTHANC_JSON"
    assert settings.origins["HttpPort"] == "environment variable ORTHANC__HTTP_PORT"


def test_secrets_come_from_files(tmp_path: Path) -> None:
    (tmp_path / "db").write_text("s3cret\n")
    (tmp_path / "ORTHANC__NAME").write_text("from a secret")
    (tmp_path / "unrelated").write_text("x")
    settings = _load(
        {"ORTHANC__POSTGRESQL__PASSWORD_SECRET": "db", "ORTHANC__NAME": "from the environment"}, tmp_path
    )
    assert settings.postgresql.password == "s3cret"
    assert settings.name == "from a secret"


@pytest.mark.parametrize("name", ["absent", "../etc/passwd", "/etc/passwd", ""])
def test_a_secret_that_is_not_there_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingsError, match="ORTHANC__POSTGRESQL__PASSWORD_SECRET"):
        _load({"ORTHANC__POSTGRESQL__PASSWORD_SECRET": name}, tmp_path)


def test_an_error_names_the_variable() -> None:
    with pytest.raises(SettingsError, match=r'"HttpPort" must be an integer .*ORTHANC__HTTP_PORT'):
        _load({"ORTHANC__HTTP_PORT": "abc"})
    with pytest.raises(SettingsError, match="ORTHANC_JSON"):
        _load({"ORTHANC_JSON": "{"})


def test_postgresql_by_variables_is_used_as_in_the_docker_image(tmp_path: Path) -> None:
    database = _load({"ORTHANC__POSTGRESQL__HOST": "db"}).postgresql
    assert (database.enable_index, database.host, database.port) == (True, "db", 5432)
    assert (database.database, database.username, database.password) == ("postgres",) * 3

    assert not _load(
        {"ORTHANC__POSTGRESQL__HOST": "db", "ORTHANC__POSTGRESQL__ENABLE_INDEX": "false"}
    ).postgresql.enable_index

    file = tmp_path / "a.json"
    file.write_text('{"PostgreSQL": {"Host": "db"}}')
    settings = load([file], {}, secrets=tmp_path / "absent")
    assert not settings.postgresql.enable_index
    assert any("EnableIndex" in warning for warning in settings.warnings)

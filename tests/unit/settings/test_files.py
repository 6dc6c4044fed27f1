"""Which configuration files are read, how they are merged, and where relative paths start."""

from __future__ import annotations

from pathlib import Path

import pytest

from ithil.settings import SettingsError, load


def test_folders_stand_for_their_json_files_but_not_for_subfolders(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "c.json").write_text('{"Name": "sub"}')
    (tmp_path / "b.json").write_text('{"HttpPort": 1}')
    (tmp_path / "a.json").write_text('{"DicomPort": 2}')
    (tmp_path / "a.txt").write_text("not read")
    settings = load([tmp_path], {})
    assert (settings.name, settings.http_port, settings.dicom_port) == ("MyOrthanc", 1, 2)


def test_the_same_option_in_two_files_is_refused(tmp_path: Path) -> None:
    first, second = tmp_path / "a.json", tmp_path / "b.json"
    first.write_text('{"DicomModalities": {"a": ["A", "h", 104]}}')
    second.write_text('{"DicomModalities": {"b": ["B", "h", 104]}}')
    with pytest.raises(SettingsError, match=r'"DicomModalities".*a\.json.*b\.json'):
        load([tmp_path], {})


def test_relative_paths_start_at_the_first_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    (first / "a.json").write_text('{"StorageDirectory": "files", "IndexDirectory": "../index"}')
    (second / "b.json").write_text('{"SslCertificate": "c.pem", "LuaScripts": ["x.lua", "/y.lua"]}')
    for paths in ([first, second / "b.json"], [first / "a.json", second]):
        settings = load(paths, {})
        assert settings.storage_directory == first / "files"
        assert settings.index_directory == tmp_path / "index"
        assert settings.ssl_certificate == first / "c.pem"
        assert settings.lua_scripts == [first / "x.lua", Path("/y.lua")]
    monkeypatch.chdir(second)
    assert load([], {}).storage_directory == second / "OrthancStorage"


def test_without_a_path_the_defaults_hold_with_a_warning() -> None:
    settings = load([], {})
    assert settings.http_port == 8042
    assert len(settings.warnings) == 1
    assert "No configuration file" in settings.warnings[0]


def test_unusable_files_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="nowhere"):
        load([tmp_path / "nowhere.json"], {})
    (tmp_path / "binary.json").write_bytes(b'{"Name": "\xff"}')
    with pytest.raises(SettingsError, match=r"binary\.json is not UTF-8"):
        load([tmp_path / "binary.json"], {})


def test_variables_are_substituted_before_parsing(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text('{"HttpPort": ${PORT:-9000}, "Name": "${WHO:-\'no one\'}", ${REST:-} }')
    assert load([file], {}).http_port == 9000
    assert load([file], {}).name == "no one"
    settings = load([file], {"PORT": "9001", "WHO": "me", "REST": '"DicomPort": 5'})
    assert (settings.http_port, settings.name, settings.dicom_port) == (9001, "me", 5)


def test_the_command_line_wins(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text('{"HttpPort": 1}')
    settings = load([file], {"ORTHANC__HTTP_PORT": "2"}, {"HttpPort": 3, "Ithil": {"Workers": 4}})
    assert (settings.http_port, settings.ithil.workers) == (3, 4)
    assert settings.origins["HttpPort"] == "the command line"

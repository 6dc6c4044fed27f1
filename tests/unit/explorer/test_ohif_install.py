"""What is taken of the viewer's package, what is made of it, and what is refused."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import os
import stat
import tarfile
from pathlib import Path

import pytest

from ithil import cli
from ithil.explorer.ohif import install as module
from ithil.explorer.ohif import installation
from ithil.explorer.ohif.install import InstallError, install
from ithil.explorer.ohif.rewrite import BASE

PAGE = b"""<!doctype html><html><head><meta name="msapplication-config" content="/assets/browserconfig.xml">
<script>console.time("x"),window.PUBLIC_URL="/"</script><link rel="manifest" href="/manifest.json">
<script type="module" src="/init-service-worker.js"></script><title>OHIF Viewer</title>
<script defer src="/app.bundle.0123456789abcdef.js"></script></head><body></body></html>"""
APP = (
    b"""start();
__webpack_require__.p = "/";
await window.browserImportFunction('/dicom-microscopy-viewer/dicomMicroscopyViewer.min.js');
"""
    + b"/* long */\n" * 200
)

BUILD = {
    "package/package.json": b"{}",
    "package/LICENSE": b"MIT",
    "package/dist/index.html": PAGE,
    "package/dist/app.bundle.0123456789abcdef.js": APP,
    "package/dist/app.bundle.0123456789abcdef.js.map": b"{}",
    "package/dist/app.bundle.css": b"@font-face{src:url(/0123456789abcdef.woff2)}",
    "package/dist/app-config.js": b"window.config = {};",
    "package/dist/ort/ort-wasm.wasm": b"\0asm",
    "package/dist/sw.js": b"importScripts('https://elsewhere.example/x.js')",
    "package/dist/init-service-worker.js": b"",
    "package/dist/assets/favicon.ico": b"icon",
    "package/dist/0123456789abcdef.wasm": b"\0asm" + os.urandom(2000),
    "package/dist/manifest.json": b'{"icons":[{"src":"/assets/a.png"}]}',
}


def packed(path: Path, files: dict[str, bytes]) -> str:
    """Write a package as npm does, and return its digest."""
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return digest(path)


def digest(path: Path) -> str:
    return "sha512-" + base64.b64encode(hashlib.sha512(path.read_bytes()).digest()).decode()


def test_what_is_served_is_there_and_the_rest_is_not(tmp_path: Path) -> None:
    package = tmp_path / "ohif.tgz"
    viewer = install(tmp_path / "viewers", package, packed(package, BUILD))
    assert set(viewer.files) == {
        "index.html",
        "app.bundle.0123456789abcdef.js",
        "app.bundle.css",
        "app-config.js",
        "assets/favicon.ico",
        "0123456789abcdef.wasm",
        "manifest.json",
    }
    assert (viewer.folder / "LICENSE").read_bytes() == b"MIT"
    assert viewer.is_sound()
    assert [path.name for path in (tmp_path / "viewers").iterdir()] == [viewer.folder.name]


def test_nothing_in_it_names_the_root_of_the_server(tmp_path: Path) -> None:
    package = tmp_path / "ohif.tgz"
    viewer = install(tmp_path / "viewers", package, packed(package, BUILD))
    page = viewer.path("index.html").read_text()
    assert f'src="{BASE}app.bundle.0123456789abcdef.js"' in page
    assert f'window.PUBLIC_URL="{BASE}"' in page
    assert '="/' not in page
    assert "service-worker" not in page
    script = viewer.path("app.bundle.0123456789abcdef.js").read_text()
    assert '= "/"' not in script
    assert "'/dicom-microscopy-viewer" not in script
    assert viewer.path("app.bundle.css").read_bytes() == b"@font-face{src:url(0123456789abcdef.woff2)}"
    assert b'"assets/a.png"' in viewer.path("manifest.json").read_bytes()


def test_what_compresses_well_is_there_compressed_too(tmp_path: Path) -> None:
    package = tmp_path / "ohif.tgz"
    viewer = install(tmp_path / "viewers", package, packed(package, BUILD))
    script = "app.bundle.0123456789abcdef.js"
    compressed = viewer.path(script, compressed=True).read_bytes()
    assert gzip.decompress(compressed) == viewer.path(script).read_bytes()
    assert viewer.files[script].gzip_size == len(compressed)
    assert viewer.files["0123456789abcdef.wasm"].gzip_size == 0  # random bytes do not get smaller
    assert viewer.files["assets/favicon.ico"].gzip_size == 0


def test_a_second_time_does_nothing(tmp_path: Path) -> None:
    package = tmp_path / "ohif.tgz"
    integrity = packed(package, BUILD)
    first = install(tmp_path / "viewers", package, integrity)
    package.unlink()
    assert install(tmp_path / "viewers", package, integrity) == first


def test_a_damaged_one_is_replaced(tmp_path: Path) -> None:
    package = tmp_path / "ohif.tgz"
    integrity = packed(package, BUILD)
    first = install(tmp_path / "viewers", package, integrity)
    first.path("app.bundle.css").write_bytes(b"")
    second = install(tmp_path / "viewers", package, integrity)
    assert second.is_sound()
    assert second.path("app.bundle.css").read_bytes()


def test_an_older_version_goes_and_foreign_folders_stay(tmp_path: Path) -> None:
    package, viewers = tmp_path / "ohif.tgz", tmp_path / "viewers"
    integrity = packed(package, BUILD)
    (viewers / "3.1-1").mkdir(parents=True)
    (viewers / "3.1-1" / installation.LIST).write_text("{}")
    (viewers / "mine").mkdir()
    viewer = install(viewers, package, integrity)
    assert {path.name for path in viewers.iterdir()} == {viewer.folder.name, "mine"}


def test_another_package_is_refused(tmp_path: Path) -> None:
    package = tmp_path / "ohif.tgz"
    packed(package, BUILD)
    with pytest.raises(InstallError, match="digest"):
        install(tmp_path / "viewers", package)
    assert installation.load(tmp_path / "viewers") is None


@pytest.mark.parametrize(
    "name", ["package/dist/../../../climbed.js", "package/dist//etc/x.js", "package/dist/a\\..\\b.js"]
)
def test_a_name_that_leads_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    package = tmp_path / "ohif.tgz"
    integrity = packed(package, {**BUILD, name: b"alert()"})
    with pytest.raises(InstallError, match="leads elsewhere"):
        install(tmp_path / "viewers", package, integrity)
    assert list((tmp_path / "viewers").iterdir()) == []


def test_links_in_the_package_are_not_followed_or_made(tmp_path: Path) -> None:
    package = tmp_path / "ohif.tgz"
    packed(package, BUILD)
    with tarfile.open(package, "w:gz") as archive:
        for name, content in BUILD.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
        link = tarfile.TarInfo("package/dist/secret.js")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    viewer = install(tmp_path / "viewers", package, digest(package))
    assert "secret.js" not in viewer.files
    assert not any(stat.S_ISLNK(path.lstat().st_mode) for path in viewer.folder.rglob("*"))


@pytest.mark.parametrize(
    ("bound", "value"), [("LARGEST_FILE", 1000), ("LARGEST_SUM", 3000), ("MOST_MEMBERS", 5)]
)
def test_a_package_beyond_the_bounds_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bound: str, value: int
) -> None:
    package = tmp_path / "ohif.tgz"
    integrity = packed(package, BUILD)
    monkeypatch.setattr(module, bound, value)
    with pytest.raises(InstallError, match="larger than it can be"):
        install(tmp_path / "viewers", package, integrity)
    assert list((tmp_path / "viewers").iterdir()) == []


@pytest.mark.parametrize("missing", ["package/dist/index.html", "page", "script"])
def test_a_build_of_another_make_is_refused(tmp_path: Path, missing: str) -> None:
    files = dict(BUILD)
    if missing == "page":
        files["package/dist/index.html"] = b"<html></html>"
    elif missing == "script":
        files["package/dist/app.bundle.0123456789abcdef.js"] = b"start()"
    else:
        del files[missing]
    package = tmp_path / "ohif.tgz"
    integrity = packed(package, files)
    with pytest.raises(InstallError):
        install(tmp_path / "viewers", package, integrity)


def test_a_truncated_package_is_refused(tmp_path: Path) -> None:
    package = tmp_path / "ohif.tgz"
    packed(package, BUILD)
    package.write_bytes(package.read_bytes()[:-100])
    with pytest.raises(InstallError):
        install(tmp_path / "viewers", package, digest(package))
    assert list((tmp_path / "viewers").iterdir()) == []


def _run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as end:
        cli.main(["viewer", "install", *arguments])
    return int(end.value.code or 0)


def test_without_npm_one_line_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("ITHIL__OHIF_DIRECTORY", str(tmp_path / "viewers"))
    assert _run() == 1
    assert _run("--if-possible") == 0
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert all("npm" in line and "--package" in line for line in lines)


def test_npm_that_reaches_no_registry_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    npm = tmp_path / "npm"
    npm.write_text("#!/bin/sh\necho 'npm error network' >&2\nexit 1\n")
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("ITHIL__OHIF_DIRECTORY", str(tmp_path / "viewers"))
    assert _run("--if-possible") == 0
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    assert "npm error network" in said


def test_npm_fetches_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    integrity = packed(tmp_path / "ohif.tgz", BUILD)
    npm = tmp_path / "bin" / "npm"
    npm.parent.mkdir()
    npm.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/asked\ncp {tmp_path}/ohif.tgz ohif-app.tgz\n')
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", f"{npm.parent}:/usr/bin:/bin")
    assert install(tmp_path / "viewers", None, integrity).is_sound()
    assert (tmp_path / "asked").read_text().startswith("pack @ohif/app@3.13.2 ")

"""Where an installation lives, and that nobody else can enter the directory of its sockets."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from tenure.client import paths


def test_home_is_what_the_variable_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENURE_HOME", "~/x/../t")
    assert paths.home() == os.path.join(os.path.expanduser("~"), "t")


def test_home_is_the_users_data_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TENURE_HOME", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert paths.home() == "/data/tenure"


def test_a_short_home_has_its_sockets_inside() -> None:
    assert paths.daemon_socket("/h") == "/h/run/daemon.sock"
    assert paths.supervisor_socket("/h") == "/h/run/supervisor.sock"


def test_a_long_home_has_them_where_the_path_is_short() -> None:
    one, other = (paths.daemon_socket("/" + letter * 120) for letter in "ab")
    assert one != other
    assert len(one.encode()) < paths.MAX_SOCKET_BYTES
    assert one.startswith(f"/tmp/tenure-{os.getuid()}/")


@pytest.mark.parametrize("length", range(60, 110, 7))
def test_every_socket_fits_the_kernel(length: int) -> None:
    home = "/" + "ä" * (length // 2)
    for path in (paths.daemon_socket(home), paths.supervisor_socket(home)):
        assert len(os.fsencode(path)) < 108


def test_the_directory_is_private(tmp_path: Path) -> None:
    home = tmp_path / "h"
    made = Path(paths.ensure_runtime_dir(str(home)))
    assert stat.S_IMODE(made.stat().st_mode) == 0o700
    assert paths.ensure_runtime_dir(str(home)) == str(made)


def test_a_directory_open_to_others_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = tmp_path / "shared"
    shared.mkdir(mode=0o777)
    shared.chmod(0o777)
    monkeypatch.setattr(paths, "_shared_root", lambda: str(shared))
    with pytest.raises(paths.UnsafeDirectory, match="0700"):
        paths.ensure_runtime_dir(str(tmp_path / ("h" * 120)))


def test_a_link_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (tmp_path / "run").symlink_to(tmp_path / "elsewhere")
    if paths.runtime_dir(str(tmp_path)) != str(tmp_path / "run"):
        pytest.skip("the temporary directory's path is too long")
    with pytest.raises(paths.UnsafeDirectory):
        paths.ensure_runtime_dir(str(tmp_path))


def test_the_rest_follows_from_the_home() -> None:
    names = [
        paths.logs_dir,
        paths.daemon_log,
        paths.database,
        paths.config_file,
        paths.snapshots_dir,
        paths.scripts_dir,
        paths.start_lock,
    ]
    assert [name("/h") for name in names] == [
        "/h/logs",
        "/h/log/daemon.log",
        "/h/tenure.db",
        "/h/config.toml",
        "/h/snapshots",
        "/h/scripts",
        "/h/run/start.lock",
    ]

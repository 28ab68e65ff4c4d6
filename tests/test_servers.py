"""Throwaway servers: they serve, they are nobody else's, and they leave nothing behind."""

import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest
from redis import Redis

from tests import servers


def test_a_postgresql_server_serves_on_its_socket_only_and_is_gone_afterwards():
    with servers.postgresql() as url:
        folder = Path(parse_qs(urlsplit(url).query)["host"][0])
        with psycopg.connect(url) as connection:
            pid = int((folder / "d" / "postmaster.pid").read_text().split()[0])
            row = connection.execute("SHOW listen_addresses").fetchone()
            assert row == ("",)
        assert folder.stat().st_mode & 0o077 == 0
    assert not folder.exists()
    assert not Path(f"/proc/{pid}").exists()


def test_a_redis_server_serves_on_its_socket_only_and_is_gone_afterwards():
    with servers.redis() as url:
        folder = Path(urlsplit(url).path).parent
        client = Redis.from_url(url)
        assert client.ping()
        assert client.config_get("port") == {"port": "0"}
        pid = client.info()["process_id"]
        client.close()
        assert folder.stat().st_mode & 0o077 == 0
    assert not folder.exists()
    assert not Path(f"/proc/{pid}").exists()


def test_two_servers_at_once_do_not_meet():
    with servers.redis() as one, servers.redis() as other:
        first, second = Redis.from_url(one), Redis.from_url(other)
        first.set("key", "value")
        assert second.get("key") is None
        first.close()
        second.close()


def test_a_failing_test_leaves_nothing_behind_either():
    seen = []

    def fail() -> None:
        with servers.redis() as url:
            seen.append(Path(urlsplit(url).path).parent)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert not seen[0].exists()


def test_a_missing_server_is_an_error_that_names_the_one_command(monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr(servers, "_POSTGRESQL_FOLDERS", ())
    with (
        pytest.raises(servers.ServerError, match=r"apt-get install .* postgresql$"),
        servers.postgresql(),
    ):
        pass
    with (
        pytest.raises(servers.ServerError, match=r"apt-get install .* redis-server$"),
        servers.redis(),
    ):
        pass


def test_a_command_runs_beside_a_server_and_its_exit_status_is_kept():
    check = "import os, sys; sys.exit(7 if os.environ['QUORATE_REDIS_URL'] else 1)"
    command = [sys.executable, "-m", "tests.servers", "redis", "--", sys.executable, "-c", check]
    assert subprocess.run(command, env=dict(os.environ)).returncode == 7

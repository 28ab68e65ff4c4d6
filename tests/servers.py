"""Throwaway PostgreSQL and Redis servers for tests.

Each server listens on a unix socket in a private folder of its own and nowhere else; when its
context ends, the process is gone and so is the folder. As root, PostgreSQL, which refuses to run
as root, runs as the user `postgres`, or as `nobody` where there is none.

A missing program is an error that names the command which installs it: tests never skip a
database silently.

    with servers.postgresql() as url:
        subprocess.run([...], env=os.environ | {"QUORATE_DATABASE_URL": url})

From a shell, so that any test can be run on PostgreSQL instead of SQLite:

    python -m tests.servers postgresql -- pytest tests/audit tests/governance
    python -m tests.servers check          # is everything installed that the tests start?
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

_POSTGRESQL_FOLDERS = ("/usr/lib/postgresql/*/bin", "/usr/local/pgsql/bin")
# No durability: the data live as long as the test.
_POSTGRESQL_SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "50",
}
# Programs that tests start, and the Debian packages that hold them.
_PROGRAMS = {"redis-server": "redis-server", "redis-cli": "redis-tools", "chromium": "chromium"}
_START_TIMEOUT_SECONDS = 60
_STOP_TIMEOUT_SECONDS = 15


class ServerError(RuntimeError):
    """A server is not installed or does not start; the message says what to do."""


@contextmanager
def postgresql() -> Iterator[str]:
    """Yield the URL of an empty database on a new PostgreSQL server, for QUORATE_DATABASE_URL."""
    programs = _postgresql_programs()
    who = _unprivileged("postgres", "nobody")
    with _private_folder("pg", who) as folder:
        data = folder / "d"
        create = [programs / "initdb", "-D", data, "-U", "quorate", "-A", "trust"]
        create += ["-E", "UTF8", "--no-sync", "--locale=C.UTF-8"]
        _run(create, folder, who)
        settings = [f"-c{name}={value}" for name, value in _POSTGRESQL_SETTINGS.items()]
        command = [programs / "postgres", "-D", data, "-k", folder, *settings]
        # SIGINT: disconnect clients and stop; SIGTERM would wait for them.
        probe = [programs / "pg_isready", "-h", folder, "-t", "1"]
        with _running(command, probe, folder, who, signal.SIGINT):
            _run([programs / "createdb", "-h", folder, "-U", "quorate", "quorate"], folder, who)
            yield f"postgresql://quorate@/quorate?host={quote(str(folder))}"


@contextmanager
def redis() -> Iterator[str]:
    """Yield the URL of an empty Redis server, in redis-py's form: ``unix://FOLDER/s``.

    Celery wants the same socket as ``redis+socket://FOLDER/s``.
    """
    program, client = _program("redis-server"), _program("redis-cli")
    who = _unprivileged("redis", "nobody")
    with _private_folder("rd", who) as folder:
        socket = folder / "s"
        command = [program, "--port", "0", "--unixsocket", socket, "--unixsocketperm", "777"]
        command += ["--save", "", "--appendonly", "no", "--dir", folder]
        probe = [client, "-s", socket, "ping"]
        with _running(command, probe, folder, who, signal.SIGTERM):
            yield f"unix://{socket}"


def _postgresql_programs() -> Path:
    for pattern in _POSTGRESQL_FOLDERS:
        found = sorted(Path("/").glob(f"{pattern[1:]}/postgres"), key=_version, reverse=True)
        if found:
            return found[0].parent
    if on_path := shutil.which("postgres"):
        return Path(on_path).resolve().parent
    raise _not_installed("PostgreSQL", "postgresql")


def _version(program: Path) -> int:
    name = program.parent.parent.name
    return int(name) if name.isdigit() else 0


def _program(name: str) -> Path:
    if found := shutil.which(name):
        return Path(found)
    raise _not_installed(name, _PROGRAMS[name])


def _not_installed(what: str, package: str) -> ServerError:
    return ServerError(
        f"{what} is not installed, and these tests need it: "
        f"apt-get install --no-install-recommends -y {package}"
    )


def _unprivileged(*users: str) -> dict[str, Any]:
    """Return what makes `subprocess` run a program as the first of `users` that exists."""
    if os.geteuid() != 0:
        return {}
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    user = next(known[name] for name in users if name in known)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


@contextmanager
def _private_folder(prefix: str, who: dict[str, Any]) -> Iterator[Path]:
    # In /tmp whatever TMPDIR says: a socket's whole path may have 107 bytes at most.
    folder = Path(tempfile.mkdtemp(prefix=f"{prefix}-", dir="/tmp"))
    try:
        if who:
            os.chown(folder, who["user"], who["group"])
        yield folder
    finally:
        shutil.rmtree(folder)


@contextmanager
def _running(
    command: list[Any], probe: list[Any], folder: Path, who: dict[str, Any], stop: signal.Signals
) -> Iterator[None]:
    """Run the server `command` from when `probe` first succeeds until the context ends."""
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(word) for word in command],
            cwd=folder,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            **who,
        )
    try:
        deadline = time.monotonic() + _START_TIMEOUT_SECONDS
        while not _succeeds(probe, folder, who):
            if process.poll() is not None or time.monotonic() > deadline:
                said = log.read_text(errors="replace")[-2000:]
                raise ServerError(f"{command[0]} did not start; it said: {said}")
        yield
    finally:
        process.send_signal(stop)
        try:
            process.wait(_STOP_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _succeeds(command: list[Any], folder: Path, who: dict[str, Any]) -> bool:
    try:
        _run(command, folder, who)
    except ServerError:
        return False
    return True


def _run(command: list[Any], folder: Path, who: dict[str, Any]) -> None:
    words = [str(word) for word in command]
    done = subprocess.run(
        words, cwd=folder, env=_environment(), capture_output=True, text=True, **who
    )
    if done.returncode != 0:
        raise ServerError(f"{words[0]} ended with {done.returncode}: {done.stdout}{done.stderr}")


def _environment() -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C.UTF-8"}


def main(arguments: Sequence[str]) -> int:
    """Check what is installed, or run a command beside a server; return the exit status."""
    match arguments:
        case ["check"]:
            _postgresql_programs()
            for name in _PROGRAMS:
                _program(name)
            return 0
        case ["postgresql", "--", *command] if command:
            with postgresql() as url:
                return _beside("QUORATE_DATABASE_URL", url, command)
        case ["redis", "--", *command] if command:
            with redis() as url:
                return _beside("QUORATE_REDIS_URL", url, command)
    sys.stderr.write("expected: check | postgresql -- COMMAND... | redis -- COMMAND...\n")
    return 2


def _beside(variable: str, url: str, command: Sequence[str]) -> int:
    return subprocess.run(command, env=os.environ | {variable: url}).returncode


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except ServerError as error:
        sys.exit(str(error))

"""The house: every process of the portal and its sites, started and stopped on this machine.

The demo and the process tests use the same house. Nothing in it is special to them: the commands
are those of docker-compose.yml, with the embedded defaults in the environment.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent


class HouseError(Exception):
    """A process of the house did not start or answer; the message names its log."""


@dataclass
class House:
    """Processes by name, each with its own log file in `home/logs`.

    Names: `portal` (web, websockets, relay), `gate` (the portal's Celery worker), and for each site
    `<site>-agent` and `<site>-worker`.
    """

    home: Path
    sites: Sequence[str]
    port: int
    environment: Mapping[str, str] = field(default_factory=dict)
    _running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Return the address of the portal; `localhost` because passkeys need a name."""
        return f"http://localhost:{self.port}"

    @property
    def portal_home(self) -> Path:
        return self.home / "portal"

    def site_home(self, site: str) -> Path:
        return self.home / "sites" / site

    def log_file(self, name: str) -> Path:
        return self.home / "logs" / f"{name}.log"

    def portal_environment(self) -> dict[str, str]:
        """Return what the portal's processes see: the embedded default and the caller's own."""
        return {
            **os.environ,
            "QUORATE_HOME": str(self.portal_home),
            "QUORATE_PUBLIC_URL": self.url,
            "DJANGO_SETTINGS_MODULE": "portal.settings",
            **self.environment,
        }

    def command(self, name: str) -> list[str]:
        """Return the command line of one process."""
        if name == "portal":
            return [
                *(str(BIN / "uvicorn"), "portal.asgi:application"),
                *("--host", "127.0.0.1", "--port", str(self.port)),
                *("--ws", "websockets-sansio", "--loop", "uvloop"),
                *("--ws-per-message-deflate", "false", "--ws-max-size", "1114112"),
                *("--ws-max-queue", "16", "--ws-ping-timeout", "120"),
                *("--timeout-graceful-shutdown", "2", "--no-access-log"),
            ]
        if name == "gate":
            return [
                *(str(BIN / "celery"), "-A", "portal", "worker", "--queues", "portal"),
                *("--pool", "solo", "--loglevel", "INFO", "--without-gossip", "--without-mingle"),
            ]
        site, _, part = name.rpartition("-")
        verb = {"agent": "run", "worker": "worker"}[part]
        return [str(BIN / "site-agent"), "--home", str(self.site_home(site)), verb]

    def names(self) -> list[str]:
        """Return every process of the house, in the order in which they start."""
        return [
            "portal",
            "gate",
            *(f"{site}-{part}" for site in self.sites for part in ("worker", "agent")),
        ]

    def start(self, name: str) -> None:
        """Start one process; its output goes to its log."""
        log = self.log_file(name)
        log.parent.mkdir(parents=True, exist_ok=True)
        of_portal = name in {"portal", "gate"}
        # A site's process inherits nothing of the portal's settings.
        environment = (
            self.portal_environment()
            if of_portal
            else {k: v for k, v in os.environ.items() if not k.startswith(("QUORATE_", "DJANGO_"))}
        )
        with log.open("ab") as output:
            self._running[name] = subprocess.Popen(
                self.command(name),
                cwd=ROOT if of_portal else self.site_home(name.rpartition("-")[0]),
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_for_portal(self, *, patience_seconds: float = 60) -> None:
        """Return when the portal answers; raise `HouseError` when it does not in time."""
        deadline = time.monotonic() + patience_seconds
        while time.monotonic() < deadline:
            self.check_alive()
            if self._answers():
                return
            time.sleep(0.05)
        raise HouseError(
            f"The portal did not answer at {self.url} within {patience_seconds:.0f} s;"
            f" see {self.log_file('portal')}."
        )

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/health/", timeout=5) as answer:  # noqa: S310
                return bool(answer.status == 200)
        except OSError:
            return False

    def check_alive(self) -> None:
        """Raise `HouseError` naming the first process that has ended by itself."""
        for name, process in self._running.items():
            if process.poll() is not None:
                raise HouseError(
                    f"{name} ended with code {process.returncode}; see {self.log_file(name)}."
                )

    def process_id(self, name: str) -> int:
        """Return the process id of a process that runs."""
        return self._running[name].pid

    def kill(self, name: str, how: signal.Signals = signal.SIGKILL) -> None:
        """End one process and its children at once, as a power cut would."""
        process = self._running.pop(name)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, how)
        process.wait(timeout=30)

    def stop(self) -> None:
        """End every process, politely first."""
        for process in self._running.values():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
        deadline = time.monotonic() + 8
        for process in self._running.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=max(0.1, deadline - time.monotonic()))
        for name in list(self._running):
            self.kill(name)

    def manage(self, *arguments: str, **extra_environment: str) -> str:
        """Run one management command of the portal and return what it printed."""
        return self._run(
            [sys.executable, str(ROOT / "manage.py"), *arguments],
            {**self.portal_environment(), **extra_environment},
            ROOT,
        )

    def site_agent(self, site: str, *arguments: str) -> str:
        """Run one `site-agent` command at a site and return what it printed."""
        home = self.site_home(site)
        home.mkdir(parents=True, exist_ok=True)
        command = [str(BIN / "site-agent"), "--home", str(home), *arguments]
        return self._run(command, dict(os.environ), home)

    def run_module(self, module: str, *arguments: str) -> str:
        """Run one of the project's modules and return what it printed."""
        return self._run([sys.executable, "-m", module, *arguments], dict(os.environ), ROOT)

    def _run(self, command: list[str], environment: dict[str, str], folder: Path) -> str:
        done = subprocess.run(
            command, env=environment, cwd=folder, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise HouseError(
                f"`{' '.join(command[1:])}` ended with code {done.returncode}:\n"
                f"{done.stdout}{done.stderr}"
            )
        return done.stdout

"""`make demo`: found three hospitals, play one study, verify the log, print the result, stay up."""

import argparse
import json
import shutil
import signal
import socket
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from demo.client import Refused
from demo.founding import client_of, found, prepare_portal
from demo.house import ROOT, House, HouseError
from demo.people import AUDITOR, EVERYONE, PASSWORD, SITES
from demo.report import survival_report, twin_of, verify_log
from demo.story import SURVIVAL_PLAN, Played, play, wait_for_agents

DEFAULT_PORT = 8000


def main() -> int:
    """Run the demo; return 0 when the study was released and the log verified."""
    options = _options()
    remembered = options.home / "founded"
    founded_on = _remembered_port(remembered)
    house = House(options.home, SITES, founded_on or options.port or _choose_port())
    begun = time.monotonic()

    def say(text: str) -> None:
        sys.stdout.write(f"[{time.monotonic() - begun:5.1f} s] {text}\n")
        sys.stdout.flush()

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        if options.port not in (None, house.port):
            raise HouseError(
                f"This demo was founded on port {house.port}, which its roster and sites name:"
                f" `make demo` continues it, `make clean demo PORT={options.port}` starts afresh."
            )
        _open_house(house, remembered, say)
        played = play(house, say)
        outcome = _report(house, played, say)
        if not options.once:
            _stay_up(house, say)
    except (HouseError, Refused) as error:
        sys.stderr.write(f"\nThe demo stopped: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        house.stop()
    if options.once:
        sys.stdout.write(f"demo-result: {json.dumps(outcome, sort_keys=True)}\n")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--once", action="store_true", help="exit after the study (ONCE=1)")
    parser.add_argument(
        "--port", type=_port, help=f"the portal's port (default {DEFAULT_PORT}, or a free one)"
    )
    parser.add_argument(
        "--home", type=Path, default=ROOT / ".demo", help="keys, databases and logs (default .demo)"
    )
    return parser.parse_args()


def _open_house(house: House, remembered: Path, say: Any) -> None:
    """Start every process; found the consortium the first time."""
    if _listening(house.port):
        raise HouseError(
            f"Port {house.port} is in use. Is the demo running already, at {house.url}? If not,"
            " stop what listens there, or found the demo on another port: make demo PORT=8100"
        )
    first_time = not remembered.exists()
    if first_time:
        _clear_half_founded(house.home)
        say("Founding: the portal's database, keys and first operator ...")
        prepare_portal(house)
    else:
        house.manage("migrate", "--no-input")
    house.start("portal")
    house.start("gate")
    house.wait_for_portal()
    say(f"The portal is up at {house.url}.")
    if first_time:
        found(house, say)
        remembered.write_text(str(house.port))
    begun = datetime.now(UTC)
    for site in SITES:
        house.start(f"{site}-worker")
        house.start(f"{site}-agent")
    wait_for_agents(house, since=begun)
    say("Three agents dialled out to the portal; each site has its own worker and broker.")


def _clear_half_founded(home: Path) -> None:
    """Remove what a founding that was interrupted left behind; touch no folder but our own."""
    mark = home / "made-by-quorate-demo"
    if home.exists() and any(home.iterdir()):
        if not mark.exists():
            raise HouseError(f"{home} holds something else: choose another folder with --home.")
        shutil.rmtree(home)
    home.mkdir(parents=True, exist_ok=True)
    mark.touch()


def _report(house: House, played: Played, say: Any) -> dict[str, Any]:
    """Verify the log, print the released statistics beside the twin's; return the outcome."""
    say(f"{AUDITOR.name} (auditor) exports the log and verifies it by the keys that sites pinned:")
    sys.stdout.write("".join(f"      {line}\n" for line in verify_log(house).splitlines()))
    twin = twin_of(SURVIVAL_PLAN)
    sys.stdout.write(f"\n{survival_report(played.result, twin)}\n\n")
    auditor = client_of(house, AUDITOR).sign_in()
    entries = auditor.get(f"audit/entries/?study={played.study}&limit=1")["count"]
    return {
        "study": played.study,
        "digest": played.digest,
        "run": played.run,
        "seconds_to_sealed": round(played.seconds_to_sealed, 3),
        "log_verified": True,
        "log_entries_of_study": entries,
        "curves": [
            {
                "label": curve["label"],
                "persons": curve["persons"],
                "persons_twin": twin["persons"][arm],
                "median": curve["median"]["time"],
                "median_twin": twin["median"][arm],
            }
            for arm, curve in enumerate(played.result["curves"])
        ],
    }


def _stay_up(house: House, say: Any) -> None:
    say(f"Look around at {house.url} (password for everyone: {PASSWORD})")
    for person in EVERYONE:
        sys.stdout.write(
            f"      {person.username:8} {person.name:18} {person.organisation:11}"
            f" {', '.join(person.roles)}\n"
        )
    key = house.home / "people" / "ruth" / "key.pem"
    sys.stdout.write(
        "      Decide with their keys: download what is to be signed from its page, then\n"
        f"        .venv/bin/quorate-sign sign statement.json --key {key}\n"
        "      Verify the log yourself: log in as frank and look under Audit.\n"
        "      Ctrl-C stops everything.\n"
    )
    sys.stdout.flush()
    while not threading.Event().wait(1):
        house.check_alive()


def _port(text: str) -> int:
    if not text.isdigit() or not 1024 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"expected a port from 1024 to 65535, got {text!r}")
    return int(text)


def _remembered_port(remembered: Path) -> int | None:
    """Return the port of an earlier founding: the roster and the sites' homes name it."""
    return int(remembered.read_text()) if remembered.exists() else None


def _choose_port() -> int:
    if not _listening(DEFAULT_PORT):
        return DEFAULT_PORT
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


if __name__ == "__main__":
    sys.exit(main())

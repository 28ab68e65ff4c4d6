"""Whole houses of processes for tests: founded once, copied for each test that moves in."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from demo.founding import DATA, found, prepare_portal
from demo.house import House
from demo.people import SITES
from tests.e2e.patience import PATIENCE_SECONDS

# Below the kernel's ephemeral ports: while a test keeps the portal dead, no outgoing connection
# may happen to take its port. Each parallel worker of pytest has ten of its own.
_FIRST_PORT, _PORTS_EACH = 8950, 10

_NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Founded:
    """A consortium as its founding left it: never run, only copied.

    `data` has a folder of files for each site, to which the sites' registers point; `port` stands
    in the roster and in every site's home, so all copies share it and run one after another.
    """

    home: Path
    data: Path
    port: int

    def copy(self, home: Path, environment: Mapping[str, str] = _NOTHING) -> House:
        """Return a house at rest in the folder `home`, with settings of the portal's own."""
        shutil.copytree(self.home, home)
        return House(home, SITES, self.port, environment)


def found_consortium(
    folder: Path,
    environment: Mapping[str, str] = _NOTHING,
    brokers: Mapping[str, str] = _NOTHING,
) -> Founded:
    """Found the demo's consortium below `folder`, on a copy of the demo's data."""
    founded = Founded(folder / "home", folder / "data", free_port())
    shutil.copytree(DATA, founded.data)
    house = House(founded.home, SITES, founded.port, environment)
    prepare_portal(house)
    try:
        house.start("portal")
        house.start("gate")
        house.wait_for_portal(patience_seconds=PATIENCE_SECONDS)
        found(house, say_nothing, data=founded.data, brokers=brokers)
    finally:
        house.stop()
    return founded


@contextmanager
def running(house: House) -> Iterator[House]:
    """Start every process of `house`; end them all when the context ends."""
    try:
        for name in house.names():
            house.start(name)
        house.wait_for_portal(patience_seconds=PATIENCE_SECONDS)
        yield house
    finally:
        house.stop()


def say_nothing(_text: str) -> None:
    """The founding and the story tell people how far they are; a test has nobody to tell."""


def restart_portal(house: House) -> None:
    """Start the portal again and return when it answers."""
    house.start("portal")
    house.wait_for_portal(patience_seconds=PATIENCE_SECONDS)


def free_port() -> int:
    """Return a port of this test process's range that nobody listens on."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    first = _FIRST_PORT + worker * _PORTS_EACH
    for port in range(first, first + _PORTS_EACH):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port
    raise RuntimeError(f"ports {first} to {first + _PORTS_EACH - 1} are all in use: free one")

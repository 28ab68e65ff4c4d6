"""The house of processes: founded once for the whole session, copied for each test."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from demo.house import House
from tests.e2e.houses import Founded, found_consortium, running


@pytest.fixture(scope="session")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Founded:
    """A consortium of three sites with a roster, approved classes and no study yet."""
    return found_consortium(tmp_path_factory.mktemp("founded"))


@pytest.fixture
def environment() -> Mapping[str, str]:
    """Settings of the portal that a test module may replace by its own."""
    return {}


@pytest.fixture
def house_at_rest(founded: Founded, tmp_path: Path, environment: Mapping[str, str]) -> House:
    """A house of this test's own, no process of which runs yet."""
    return founded.copy(tmp_path / "house", environment)


@pytest.fixture
def house(house_at_rest: House) -> Iterator[House]:
    """A house of this test's own, every process running."""
    with running(house_at_rest):
        yield house_at_rest

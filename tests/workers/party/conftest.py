"""A site of the test consortium, for every test of what runs inside a site."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.factories.evidence import Consortium
from tests.workers.party.consortium_site import make_home
from workers.party.home import SiteHome


@pytest.fixture(scope="session")
def consortium() -> Consortium:
    """Return three hospitals with one roster."""
    return Consortium()


@pytest.fixture
def home(tmp_path: Path, consortium: Consortium) -> SiteHome:
    """Return the folder of the site alder, with a confidential data set."""
    return make_home(tmp_path / "alder", consortium)

"""Fixtures that every test may use: a house with its people, and keys and mail out of the tree."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from accounts.models import User
from studies.models import Study
from tests.audit.unprotected import clearing_allowed
from tests.factories.portal import House, build_house


@pytest.fixture(scope="session", autouse=True)
def _tests_that_commit_may_clear_the_audit_log() -> Iterator[None]:
    with clearing_allowed():
        yield


@pytest.fixture(autouse=True)
def _keep_out_of_the_tree(settings: Any, tmp_path: Path) -> None:
    """Keep keys, mail and queued tasks of one test away from others and from the tree."""
    settings.HOME = tmp_path
    settings.LOG_KEY_FILE = tmp_path / "log-key.pem"
    settings.GATE_KEY_FILE = tmp_path / "gate-key.pem"
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"


@pytest.fixture
def house(db: None) -> House:
    """A portal ready for its first study."""
    return build_house()


@pytest.fixture
def pi(house: House) -> User:
    return house.people["m-ines"]


@pytest.fixture
def reviewer(house: House) -> User:
    return house.people["m-ruth"]


@pytest.fixture
def chair(house: House) -> User:
    return house.people["m-carl"]


@pytest.fixture
def steward(house: House) -> User:
    return house.people["m-ada"]


@pytest.fixture
def checker(house: House) -> User:
    return house.people["m-olga"]


@pytest.fixture
def auditor(house: House) -> User:
    return house.people["m-aude"]


@pytest.fixture
def portal_operator(house: House) -> User:
    return house.people["m-pete"]


@pytest.fixture
def draft(house: House) -> Study:
    return house.draft()


@pytest.fixture
def study_in_review(house: House) -> Study:
    return house.study_in_review()


@pytest.fixture
def approved_study(house: House) -> Study:
    return house.approved_study()


@pytest.fixture
def ready_study(house: House) -> Study:
    return house.ready_study()

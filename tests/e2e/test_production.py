"""The same story as production runs it: PostgreSQL and Redis instead of files and memory.

The portal's database is PostgreSQL, its channel layer and its broker are Redis; each site's worker
is reached through a Redis database of the site's own. The servers are real and of this test alone.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from demo.house import House
from demo.people import SITES
from demo.story import play
from tests import servers
from tests.e2e.consistency import assert_consistent
from tests.e2e.houses import found_consortium, running, say_nothing

pytestmark = pytest.mark.processes

PORTAL_DATABASE = 0
SITE_DATABASE = {site: number for number, site in enumerate(SITES, start=1)}


@pytest.fixture
def redis_url() -> Iterator[str]:
    """A Redis server of this test's own."""
    with servers.redis() as url:
        yield url


@pytest.fixture
def house(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house founded on PostgreSQL and Redis, every process running."""
    brokers = {site: broker(redis_url, number) for site, number in SITE_DATABASE.items()}
    with servers.postgresql() as database_url:
        environment = {
            "QUORATE_DATABASE_URL": database_url,
            "QUORATE_REDIS_URL": redis_url,
            "QUORATE_BROKER_URL": broker(redis_url, PORTAL_DATABASE),
        }
        founded = found_consortium(tmp_path_factory.mktemp("production"), environment, brokers)
        with running(House(founded.home, SITES, founded.port, environment)) as house:
            yield house


def test_the_story_is_the_same_on_postgresql_and_redis(house: House, redis_url: str) -> None:
    played = play(house, say_nothing)

    assert [curve["label"] for curve in played.result["curves"]] == ["Men", "Women"]
    assert_consistent(house)
    # Nothing has quietly fallen back to the embedded default.
    assert list(house.portal_home.glob("*.sqlite3")) == []
    assert list((house.portal_home / "broker").glob("*")) == []
    assert [list(house.site_home(site).glob("broker/*")) for site in SITES] == [[], [], []]
    assert queues(redis_url, PORTAL_DATABASE) == {"portal"}
    for site, number in SITE_DATABASE.items():
        assert queues(redis_url, number) == {f"site.{site}"}


def broker(redis_url: str, database: int) -> str:
    """Return a database of the Redis server in the form in which Celery wants it."""
    return f"{redis_url.replace('unix://', 'redis+socket://')}?virtual_host={database}"


def queues(redis_url: str, database: int) -> set[str]:
    """Return the queues that Celery has bound in a database, its own control queues left out."""
    server = redis.Redis.from_url(redis_url, db=database, decode_responses=True)
    names = {key.removeprefix("_kombu.binding.") for key in server.scan_iter("_kombu.binding.*")}
    return {name for name in names if not name.startswith(("celery", "reply.celery"))}

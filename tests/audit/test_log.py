"""The door: what is appended, in which transaction, and how it is read again."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from django.contrib.contenttypes.models import ContentType
from django.core.paginator import Paginator
from django.db import DatabaseError, transaction
from django.db.transaction import TransactionManagementError

from audit import canonical, log, models
from audit.entry import GENESIS, Entry
from audit.events import EventError

pytestmark = pytest.mark.django_db

DIGEST = "ab" * 32
AT = datetime(2026, 10, 1, 9, 30, tzinfo=UTC)


def test_an_entry_is_its_bytes_and_carries_the_hash_of_its_predecessor():
    with transaction.atomic():
        first = log.append(
            "study.created",
            actor="m-1",
            subject="study:st-1",
            study="st-1",
            data={"study_digest": DIGEST},
            at=AT,
        )
        second = log.append("run.cancelled", actor="m-1", subject="run:r-1", data={}, at=AT)
    assert first.leaf == (
        b'{"actor":"m-1","at":"2026-10-01T09:30:00.000000Z","data":{"study_digest":"%b"},'
        b'"event":"study.created","index":0,"previous":"%b","study":"st-1",'
        b'"subject":"study:st-1","version":1}' % (DIGEST.encode(), b"0" * 64)
    )
    assert (first.previous, second.previous) == (GENESIS, first.chain_hash)
    assert canonical.loads(second.leaf)["previous"] == first.chain_hash.hex()
    assert (log.size(), log.entry(0), log.entry(1)) == (2, first, second)
    assert Entry.parse(first.leaf) == first


def test_the_chain_and_the_indices_have_no_gap(append):
    entries = append(20)
    assert [entry.index for entry in entries] == list(range(20))
    for before, after in pairwise(entries):
        assert after.previous == before.chain_hash


@pytest.mark.django_db(transaction=True)
def test_without_a_transaction_nothing_is_appended():
    with pytest.raises(TransactionManagementError, match=r"transaction\.atomic"):
        log.append("run.cancelled", actor="m-1", subject="run:r-1", data={})


@pytest.mark.django_db(transaction=True)
def test_what_is_rolled_back_was_never_in_the_log(append):
    append(2)
    with transaction.atomic():
        append(3)
        assert log.size() == 5
        transaction.set_rollback(True)
    assert log.size() == 2
    assert append(1)[0].index == 2


@pytest.mark.django_db(transaction=True)
def test_when_the_append_fails_the_change_it_records_is_undone(append, monkeypatch):
    def fail(_row):
        raise DatabaseError("disk full")

    @transaction.atomic
    def act():
        ContentType.objects.create(app_label="business", model="row")
        append(1)

    monkeypatch.setattr(models.Entry, "save", fail)
    with pytest.raises(DatabaseError, match="disk full"):
        act()
    assert not ContentType.objects.filter(app_label="business").exists()
    assert log.size() == 0


def test_what_may_not_be_logged_is_refused_before_anything_is_written():
    for event, data in (
        ("study.gone", {}),
        ("study.created", {}),
        ("run.failed", {"reason": "A b"}),
    ):
        with pytest.raises(EventError):
            log.append(event, actor="m-1", subject="s:1", data=data)
    assert log.size() == 0


def test_times_are_stored_to_the_microsecond_and_need_a_zone():
    at = datetime(2026, 10, 1, 11, 30, 0, 123456, tzinfo=UTC)
    made = log.append("run.cancelled", actor="m-1", subject="run:r-1", data={}, at=at)
    assert log.entry(made.index).created_at == at
    with pytest.raises(ValueError, match="zone"):
        log.append(
            "run.cancelled", actor="m-1", subject="run:r-1", data={}, at=at.replace(tzinfo=None)
        )


def test_an_entry_too_large_for_a_tile_is_refused():
    data = {f"k{n}": "x" * 500 for n in range(140)}
    with pytest.raises(ValueError, match="at most 65535 bytes"):
        log.append("run.cancelled", actor="m-1", subject="run:r-1", data=data)


def test_an_entry_that_is_not_there_is_a_clear_error(append):
    append(2)
    with pytest.raises(LookupError, match="below the size 2, got index 2"):
        log.entry(2)


class TestEntries:
    @pytest.fixture(autouse=True)
    def filled(self, append):
        append(4, study="st-1", event="study.created")
        append(3, study="st-2", event="study.submitted")
        with transaction.atomic():
            log.append("run.cancelled", actor="m-9", subject="run:r-1", data={}, at=AT)

    def indices(self, **filters):
        return [entry.index for entry in log.entries(**filters)[:]]

    def test_come_in_order_or_newest_first(self):
        assert self.indices() == list(range(8))
        assert self.indices(newest_first=True) == list(range(8))[::-1]

    def test_are_filtered_by_each_column_and_all_of_them(self):
        assert self.indices(study="st-2") == [4, 5, 6]
        assert self.indices(actor="m-9") == [7]
        assert self.indices(subject="run:r-1") == [7]
        assert self.indices(event="study.submitted") == [4, 5, 6]
        assert self.indices(event="study.") == list(range(7))
        assert self.indices(event="study.sub") == []
        assert self.indices(actor="m-1", study="st-1") == [1]
        assert self.indices(actor="m-9", study="st-1") == []

    def test_are_filtered_by_time_from_inclusive_to_exclusive(self):
        start = datetime(2026, 10, 1, 9, 0, 2, tzinfo=UTC)
        assert self.indices(since=start) == [2, 3, 4, 5, 6, 7]
        assert self.indices(until=start) == [0, 1]
        assert self.indices(since=start, until=start + timedelta(seconds=3)) == [2, 3, 4]

    def test_fit_a_paginator_with_one_query_a_page(self, django_assert_num_queries):
        pages = Paginator(log.entries(study="st-1", newest_first=True), 3)
        with django_assert_num_queries(2):
            page = pages.page(2)
            assert [entry.index for entry in page.object_list] == [0]
        assert len(log.entries()) == 8
        assert log.entries()[7].event == "run.cancelled"
        with pytest.raises(IndexError):
            log.entries()[8]

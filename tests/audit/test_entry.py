"""An entry is its bytes: what is written is read back, and nothing else is read."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit import canonical
from audit.entry import GENESIS, Entry, EntryError, make

AT = datetime(2026, 10, 1, 9, 30, tzinfo=UTC)
FIELDS = {
    "index": 3,
    "previous": bytes(range(32)),
    "event": "study.created",
    "actor": "m-1",
    "subject": "study:st-1",
    "study": "st-1",
    "data": {"study_digest": "ab" * 32},
    "at": AT,
}


def altered(**changes) -> bytes:
    value = canonical.loads(make(**FIELDS).leaf) | changes
    return canonical.dumps({key: item for key, item in value.items() if item != "gone"})


@given(st.integers(0, 2**53 - 1), st.text(), st.datetimes(timezones=st.just(UTC)))
def test_what_is_written_is_read_back(index, actor, at):
    entry = make(**{**FIELDS, "index": index, "actor": actor, "at": at})
    assert Entry.parse(entry.leaf) == entry
    assert (entry.index, entry.actor, entry.created_at) == (index, actor, at)


def test_a_time_in_another_zone_is_written_in_utc():
    local = datetime(2026, 10, 1, 11, 30, tzinfo=timezone(timedelta(hours=2)))
    assert make(**{**FIELDS, "at": local}) == make(**FIELDS)


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 2},
        {"version": "gone"},
        {"study": "gone"},
        {"extra": 1},
        {"index": -1},
        {"index": True},
        {"index": "3"},
        {"actor": None},
        {"subject": 7},
        {"data": []},
        {"previous": "AB" * 32},
        {"previous": "ab" * 31},
        {"previous": None},
        {"at": "2026-10-01T09:30:00Z"},
        {"at": "2026-10-01T09:30:00.000Z"},
        {"at": "2026-13-01T09:30:00.000000Z"},
        {"at": "2026-10-01 09:30:00.000000Z"},
        {"at": "2026-10-01T09:30:00.000000"},
        {"at": "2026-10-01T09:30:00.000000+00:00"},
        {"at": "0001-01-01T00:00:00.000000+23:59"},
        {"at": 0},
    ],
)
def test_a_leaf_of_another_form_is_refused(changes):
    with pytest.raises(EntryError):
        Entry.parse(altered(**changes))


@pytest.mark.parametrize("leaf", [b"", b"[]", b"null", b"{}", b"{", b"\xff"])
def test_bytes_that_are_no_object_of_nine_keys_are_refused(leaf):
    with pytest.raises(EntryError):
        Entry.parse(leaf)


def test_hashes_cover_every_byte_and_the_predecessor():
    entry = make(**FIELDS)
    other = make(**{**FIELDS, "previous": GENESIS})
    assert entry.leaf_hash != other.leaf_hash
    assert len({entry.chain_hash, other.chain_hash, entry.leaf_hash}) == 3

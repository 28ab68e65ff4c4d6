"""Strict reading: every fault named with its place, one spelling for each moment."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studies import documents
from studies.documents import DocumentError, format_moment, parse_moment

SCHEMA = documents.record(
    {
        "name": documents.IDENTIFIER,
        "digest": documents.DIGEST,
        "tags": documents.array(documents.one_of("a", "b"), 1, 2, unique=True),
        "note": documents.text(5),
    },
    optional=["note"],
)
GENUINE = {"name": "x", "digest": "0" * 64, "tags": ["a"]}


def test_what_fits_comes_back():
    assert documents.check(GENUINE, SCHEMA) == GENUINE
    assert documents.read(b'{"digest":"%s","name":"x","tags":["a"]}' % (b"0" * 64), SCHEMA)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": 1}, "$.name: expected a value of type string, came 1"),
        ({"name": "x\n"}, r"$.name: expected text that matches"),
        ({"digest": "0" * 63}, "$.digest: expected text that matches"),
        ({"digest": "A" * 64}, "$.digest: expected text that matches"),
        ({"tags": []}, "$.tags: expected at least 1 items, came []"),
        ({"tags": ["a", "a"]}, "$.tags: expected items that all differ"),
        ({"tags": ["a", "c"]}, "$.tags[1]: expected one of a, b, came 'c'"),
        ({"note": "too long"}, "$.note: expected at most 5 characters, came 'too long'"),
        ({"other": 1}, "$: expected no other fields than the known ones, came also other"),
    ],
)
def test_a_fault_says_where_what_was_expected_and_what_came(change, message):
    with pytest.raises(DocumentError) as refused:
        documents.check({**GENUINE, **change}, SCHEMA)
    assert str(refused.value).startswith(message)
    assert len(refused.value.problems) == 1


def test_a_missing_field_is_named():
    with pytest.raises(DocumentError, match="none named digest, tags"):
        documents.check({"name": "x"}, SCHEMA)


def test_bytes_must_be_canonical():
    with pytest.raises(DocumentError, match="canonical JSON"):
        documents.read(b'{"name": "x"}', SCHEMA)


def test_a_long_value_is_cut_in_the_message():
    with pytest.raises(DocumentError) as refused:
        documents.check({**GENUINE, "note": "x" * 5000}, SCHEMA)
    assert len(str(refused.value)) < 200


zones = st.builds(timezone, st.timedeltas(timedelta(hours=-23), timedelta(hours=23)))


moments = st.datetimes(timezones=st.just(UTC) | zones)


@given(moments.filter(lambda moment: 1000 < moment.year < 9999))
def test_a_moment_comes_back_to_the_second(moment):
    assert parse_moment(format_moment(moment)) == moment.astimezone(UTC).replace(microsecond=0)


@pytest.mark.parametrize(
    "written",
    [
        "2026-11-22T23:41:37",
        "2026-11-22 23:41:37Z",
        "2026-11-22T23:41:37+00:00",
        "2026-11-22T23:41:37.5Z",
        "2026-11-22T24:00:00Z",
        "2026-11-22T23:41:60Z",
        "2026-02-29T00:00:00Z",
        "2026-1-2T03:04:05Z",
        "2026-11-22t23:41:37z",
        "",
    ],
)
def test_a_moment_has_one_spelling(written):
    with pytest.raises(DocumentError, match="moment"):
        parse_moment(written)


def test_a_moment_without_a_zone_is_a_mistake_in_the_program():
    with pytest.raises(ValueError, match="time zone"):
        format_moment(datetime(2026, 1, 1))  # noqa: DTZ001 - that is the point

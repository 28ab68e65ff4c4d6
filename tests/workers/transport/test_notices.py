"""Notices of the relay: formatter and strict parser."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.transport.notices import (
    Aborted,
    Left,
    Notice,
    Ready,
    Waiting,
    format_notice,
    parse_notice,
)

parties = st.integers(0, 255)
missing = st.lists(parties, max_size=5).map(tuple)


@given(
    st.one_of(
        st.integers(0, (1 << 32) - 1).map(Ready),
        missing.map(Waiting),
        parties.map(Left),
        missing.map(Aborted),
    )
)
def test_a_notice_is_parsed_as_it_was_formatted(notice: Notice) -> None:
    assert parse_notice(format_notice(notice)) == notice


def test_the_text_is_that_of_the_documentation() -> None:
    assert format_notice(Ready(3)) == '{"type":"ready","epoch":3}'
    assert format_notice(Waiting((2,))) == '{"type":"waiting","missing":[2]}'
    assert format_notice(Left(0)) == '{"type":"left","party":0}'
    assert format_notice(Aborted((2,))) == '{"type":"aborted","missing":[2]}'


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"type":"go"}',
        '{"type":["ready"],"epoch":1}',
        '{"type":"ready"}',
        '{"type":"ready","epoch":-1}',
        '{"type":"ready","epoch":true}',
        '{"type":"ready","epoch":4294967296}',
        '{"type":"ready","epoch":1,"more":2}',
        '{"type":"waiting","missing":2}',
        '{"type":"aborted","missing":[256]}',
        '{"type":"left","party":"0"}',
        '{"type":"ready","epoch":' + " " * 5000 + "1}",
    ],
)
def test_what_is_not_a_notice_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_notice(text)

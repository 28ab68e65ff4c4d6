"""The agent protocol's messages: strict both ways, and one spelling each."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.transport.control import (
    MAX_MESSAGE_BYTES,
    SCHEMAS,
    ControlError,
    Sender,
    format_message,
    parse_message,
)

PROGRESS = {"type": "progress", "run": "run-1", "attempt": 1, "step": "computing"}
FRAME = '{"attempt":1,"run":"run-1","step":"computing","type":"progress"}'


def test_a_message_has_one_spelling() -> None:
    assert format_message(PROGRESS, sender=Sender.AGENT) == FRAME
    assert parse_message(FRAME, sender=Sender.AGENT) == PROGRESS


@pytest.mark.parametrize(
    "frame",
    [
        FRAME.encode(),
        FRAME.replace('":', '": '),
        FRAME.replace('"attempt":1', '"attempt":1.0'),
        FRAME.replace('"attempt":1', '"attempt":true'),
        FRAME.replace('"attempt":1', '"attempt":0'),
        FRAME.replace('{"attempt":1,', '{"attempt":1,"attempt":1,'),
        FRAME.replace('"run":"run-1",', ""),
        FRAME.replace('"run":"run-1"', '"run":"run-1\\n"'),
        FRAME.replace('"step"', '"site":"alder","step"'),
        FRAME.replace("computing", "loaded"),
        FRAME.replace("progress", "permit"),
        FRAME.replace('"progress"', "[]"),
        "null",
        "{}",
        "[" * 100_000,
        '{"type":"\ud800"}',
        FRAME + " " * MAX_MESSAGE_BYTES,
    ],
)
def test_anything_else_is_refused(frame: str | bytes) -> None:
    with pytest.raises(ControlError):
        parse_message(frame, sender=Sender.AGENT)


def test_a_message_is_refused_from_the_wrong_end() -> None:
    with pytest.raises(ControlError, match="from the portal"):
        parse_message(FRAME, sender=Sender.PORTAL)


def test_an_error_does_not_repeat_what_came() -> None:
    secret = "patient-4711"
    with pytest.raises(ControlError) as error:
        parse_message(FRAME.replace("run-1", f"{secret} "), sender=Sender.AGENT)
    assert secret not in str(error.value)


@pytest.mark.parametrize(
    ("sender", "kind"), [(sender, kind) for sender in Sender for kind in SCHEMAS[sender]]
)
def test_every_field_is_required_and_no_other_is_allowed(sender: Sender, kind: str) -> None:
    schema = SCHEMAS[sender][kind]
    assert set(schema["required"]) == set(schema["properties"])
    assert schema["additionalProperties"] is False
    with pytest.raises(ControlError):
        format_message({"type": kind, "surplus": 1}, sender=sender)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@given(st.text() | json_values.map(json.dumps))
def test_no_frame_does_anything_but_parse_or_raise_its_one_error(frame: str) -> None:
    for sender in Sender:
        try:
            message: dict[str, Any] = parse_message(frame, sender=sender)
        except ControlError:
            continue
        assert format_message(message, sender=sender) == frame

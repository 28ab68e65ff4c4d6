"""The wire format of frames: one example by hand, strictness by mutation."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.transport import frames
from workers.transport.errors import MalformedFrame
from workers.transport.frames import (
    HEADER_BYTES,
    MAX_CHUNK_BYTES,
    MAX_FRAME_BYTES,
    MAX_RELAY_MESSAGE_BYTES,
    TAG_BYTES,
    Header,
    Kind,
    parse_envelope,
    parse_header,
    wrap,
)

SESSION = bytes(range(16))
EXAMPLE = bytes.fromhex("5101000102030405060708090a0b0c0d0e0f01000200000000000000000" + "0")

headers = st.builds(
    Header,
    session_id=st.binary(min_size=16, max_size=16),
    kind=st.just(Kind.DATA),
    sender=st.integers(0, 255),
    receiver=st.integers(0, 255),
    sequence=st.integers(0, frames.MAX_SEQUENCE),
    more=st.just(False),
)


def test_the_header_of_the_documentation_is_the_header_that_is_sent() -> None:
    assert Header(SESSION, Kind.DATA, 0, 2, 0, more=False).to_bytes() == EXAMPLE
    assert len(EXAMPLE) == HEADER_BYTES
    assert frames.__doc__ is not None
    assert "51 01  00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f  01  00  02" in frames.__doc__


@given(headers, st.integers(1, 300))
def test_a_header_is_parsed_as_it_was_formatted(header: Header, payload_bytes: int) -> None:
    assert parse_header(header.to_bytes() + bytes(payload_bytes + TAG_BYTES)) == header


@given(headers, st.integers(0, 255), st.integers(0, (1 << 32) - 1))
def test_an_envelope_is_parsed_as_it_was_formatted(
    header: Header, addressee: int, epoch: int
) -> None:
    message = wrap(addressee, epoch, header.to_bytes() + bytes(17))
    assert parse_envelope(message) == (addressee, epoch)
    assert parse_header(message[frames.ENVELOPE_BYTES :]) == header


def frame(kind: Kind = Kind.DATA, payload_bytes: int = 1, *, more: bool = False) -> bytearray:
    header = Header(SESSION, kind, 0, 1, 7, more).to_bytes()
    return bytearray(header + bytes(payload_bytes + TAG_BYTES))


def with_byte(offset: int, value: int) -> bytearray:
    changed = frame()
    changed[offset] = value
    return changed


@pytest.mark.parametrize(
    "refused",
    [
        pytest.param(bytearray(), id="nothing"),
        pytest.param(frame()[:-1], id="no payload"),
        pytest.param(with_byte(0, 0x52), id="other magic"),
        pytest.param(with_byte(1, 2), id="other version"),
        pytest.param(with_byte(18, 0), id="no kind"),
        pytest.param(with_byte(18, 3), id="unknown kind"),
        pytest.param(with_byte(29, 2), id="more is neither 0 nor 1"),
        pytest.param(frame(Kind.ACK, 7), id="short ACK"),
        pytest.param(frame(Kind.ACK, 9), id="long ACK"),
        pytest.param(frame(Kind.ACK, 8, more=True), id="ACK that goes on"),
        pytest.param(frame(payload_bytes=MAX_CHUNK_BYTES - 1, more=True), id="small chunk goes on"),
        pytest.param(frame(payload_bytes=MAX_CHUNK_BYTES + 1), id="too big"),
    ],
)
def test_what_is_not_a_frame_is_refused(refused: bytearray) -> None:
    with pytest.raises(MalformedFrame):
        parse_header(bytes(refused))


def test_the_biggest_frame_in_its_envelope_is_one_mebibyte() -> None:
    biggest = bytes(frame(payload_bytes=MAX_CHUNK_BYTES, more=True))
    assert len(biggest) == MAX_FRAME_BYTES
    assert parse_header(biggest).more
    message = wrap(1, 1, biggest)
    assert len(message) == MAX_RELAY_MESSAGE_BYTES == 1 << 20
    assert parse_envelope(message) == (1, 1)
    with pytest.raises(MalformedFrame):
        parse_envelope(message + b"\0")
    with pytest.raises(MalformedFrame):
        parse_envelope(message[: frames.ENVELOPE_BYTES])


@given(st.binary(max_size=100))
def test_arbitrary_bytes_are_parsed_or_refused_by_one_error(data: bytes) -> None:
    try:
        header = parse_header(data)
    except MalformedFrame:
        return
    assert header.to_bytes() == data[:HEADER_BYTES]

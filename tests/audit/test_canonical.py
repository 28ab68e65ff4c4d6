"""One value, one sequence of bytes: published examples, and everything that must be refused."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit import canonical

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def test_keys_are_sorted_by_utf_16_code_units_as_in_the_example_of_rfc_8785():
    # RFC 8785 section 3.2.3: the emoji's surrogates sort before the Hebrew presentation form.
    value = {
        "\u20ac": "Euro Sign",
        "\r": "Carriage Return",
        "\ufb33": "Hebrew Letter Dalet With Dagesh",
        "1": "One",
        "\U0001f600": "Emoji: Grinning Face",
        "\u0080": "Control",
        "\u00f6": "Latin Small Letter O With Diaeresis",
    }
    expected = ["\r", "1", "\u0080", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"]
    assert list(json.loads(canonical.dumps(value))) == expected


def test_only_what_must_be_escaped_is_escaped():
    assert canonical.dumps('"\\\b\f\n\r\t\x00\x1f/é\u2028') == (
        '"\\"\\\\\\b\\f\\n\\r\\t\\u0000\\u001f/é\u2028"'.encode()
    )


def test_a_digest_never_changes():
    # As sha256sum prints it for those bytes: whoever changes it voids every signature ever made.
    value = {"b": [True, None, -7], "a": "é"}
    assert canonical.dumps(value) == '{"a":"é","b":[true,null,-7]}'.encode()
    assert canonical.digest(value) == (
        "24aec2e3ad2448657e28d29e0af15d56401add007e205dc8fc195240cd80baa6"
    )


@given(VALUES)
def test_reading_inverts_writing(value):
    assert canonical.loads(canonical.dumps(value)) == value


@given(VALUES)
def test_any_other_spelling_of_the_same_value_is_refused(value):
    data = canonical.dumps(value)
    other = json.dumps(value, indent=1).encode()
    if other != data:
        with pytest.raises(canonical.CanonicalError):
            canonical.loads(other)


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (1.0, "$"),
        ({"a": {"b": [0, 1.5]}}, "$.a.b[1]"),
        ({"n": 2**53}, "$.n"),
        ({"n": -(2**53)}, "$.n"),
        ([(1, 2)], "$[0]"),
        ({"a": {1: 2}}, "$.a"),
        ({"a": "\ud800"}, "$.a"),
        ({"a": b"bytes"}, "$.a"),
    ],
)
def test_what_cannot_be_canonical_is_refused_with_its_path(value, path):
    with pytest.raises(canonical.CanonicalError) as refused:
        canonical.dumps(value)
    assert refused.value.path == path


def test_a_refusal_does_not_repeat_the_value():
    with pytest.raises(canonical.CanonicalError) as refused:
        canonical.dumps({"haemoglobin": 13.7})
    assert "13.7" not in str(refused.value)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b" 1",
        b"1 ",
        b"-0",
        b"1.0",
        b"1e2",
        b"NaN",
        b"-Infinity",
        b"9007199254740992",
        b"9" * 5000,
        b'{"a":1,"a":1}',
        b'{"b":1,"a":1}',
        b'{"a": 1}',
        b'"\\u0041"',
        b'"\\/"',
        b'"\\ud800"',
        b'"\xff"',
        b"\xef\xbb\xbf1",
        b"[1",
        b"[" * 100_000,
        b"[" * 65 + b"]" * 65,
    ],
)
def test_bytes_that_are_not_canonical_are_refused(data):
    with pytest.raises(canonical.CanonicalError):
        canonical.loads(data)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b'{"a":1,"a":1}', "each key once"),
        (b"[0.5]", "floating-point"),
        (b"[1,NaN]", "floating-point"),
        (b"[ 1]", "spelt differently"),
        (b"9" * 5000, "a longer one"),
    ],
)
def test_a_refusal_says_what_was_wrong(data, problem):
    with pytest.raises(canonical.CanonicalError, match=problem):
        canonical.loads(data)


@given(st.binary(max_size=40))
def test_arbitrary_bytes_are_refused_or_read_exactly(data):
    try:
        value = canonical.loads(data)
    except canonical.CanonicalError:
        return
    assert canonical.dumps(value) == data

"""What may be logged: the closed list, and nothing that may one day have to be erased."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit import events

DIGEST = "ab" * 32


def check(event="study.created", *, actor="m-1", subject="study:st-1", study="st-1", **data):
    events.check(event, actor=actor, subject=subject, study=study, data=data)


def test_every_event_is_accepted_with_exactly_what_it_must_record():
    for event, keys in events.MUST_RECORD.items():
        data = {key: DIGEST if key.endswith("_digest") else "x-1" for key in keys}
        check(event, **data)
        for key in keys:
            with pytest.raises(events.EventError, match=f"must also record {key}"):
                check(event, **{name: value for name, value in data.items() if name != key})


def test_an_event_that_is_not_on_the_list_is_refused():
    for event in ("study.deleted", "login.failed", ""):
        with pytest.raises(events.EventError, match="expected an event of"):
            check(event, study_digest=DIGEST)


@pytest.mark.parametrize(
    "value",
    ["Ada Lovelace", "ada@example.org", "", "a\nb", "é", "x" * 513, 1.5, {"a": 1}, [["a"]], b"x"],
)
def test_names_addresses_sentences_and_structures_are_refused(value):
    with pytest.raises(events.EventError) as refused:
        check(study_digest=DIGEST, note=value)
    assert "note" in str(refused.value)
    assert str(value) == "" or str(value) not in str(refused.value)


@pytest.mark.parametrize("value", ["AB" * 32, "ab" * 31, DIGEST + "\n", None, 7, [DIGEST]])
def test_a_digest_is_64_lower_case_hex_digits(value):
    with pytest.raises(events.EventError):
        check(study_digest=value)


def test_further_identifiers_and_counts_may_be_recorded():
    check(
        study_digest=DIGEST,
        version=3,
        sites=["north", "south"],
        final=True,
        valid_until="2026-11-01T00:00:00Z",
        certificate_digests=[DIGEST, DIGEST],
    )


@pytest.mark.parametrize("role", ["actor", "subject", "study"])
def test_who_and_what_are_identifiers(role):
    with pytest.raises(events.EventError, match=role):
        check(study_digest=DIGEST, **{role: "ada@example.org"})


@given(st.text().filter(lambda text: any(c.isspace() or c == "@" for c in text)))
def test_no_text_with_a_space_or_an_at_sign_is_ever_accepted(text):
    with pytest.raises(events.EventError):
        check(study_digest=DIGEST, note=text)

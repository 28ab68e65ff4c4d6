"""Reasons: every code has a sentence for people, and errors use no other codes."""

import re
import string
from pathlib import Path

import pytest

from governance import errors
from governance.reasons import REASONS, sentence

PACKAGES = [Path(__file__).parents[2] / name for name in ("governance", "workers")]


def fields(code):
    return [name for _, name, _, _ in string.Formatter().parse(REASONS[code]) if name]


@pytest.mark.parametrize("code", REASONS)
def test_a_sentence_is_complete_once_its_details_are_given(code):
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", code)
    details = {name: f"<{name}>" for name in fields(code)}
    written = sentence(code, **details)
    assert written.endswith(".")
    assert all(detail in written for detail in details.values())


def test_a_missing_detail_or_code_is_a_mistake_in_the_program():
    with pytest.raises(LookupError):
        sentence("consent_missing")
    with pytest.raises(LookupError):
        sentence("no_such_code")
    with pytest.raises(LookupError):
        errors.Refusal("no_such_code", "Because.")


def test_one_run_is_not_called_runs():
    assert "1 runs" not in sentence("plan_runs_exhausted", allowed=1)


def test_a_refusal_names_its_site():
    refusal = errors.refusal("consent_missing", site="birch")
    assert (refusal.code, refusal.site) == ("consent_missing", "birch")
    assert str(refusal) == refusal.sentence


def test_refusals_in_the_code_give_every_detail_their_sentence_needs():
    """A sentence that cannot be filled in would turn a refusal into a crash."""
    seen = 0
    for path in (path for package in PACKAGES for path in package.rglob("*.py")):
        text = path.read_text("utf-8")
        for match in re.finditer(r'\brefusal\(\s*"(\w+)"([^()]*(?:\([^()]*\)[^()]*)*)\)', text):
            code, arguments = match.groups()
            seen += 1
            assert code in REASONS, f"{path}: {code}"
            given = set(re.findall(r"(\w+)=", arguments)) | {"site"}
            assert "**" in arguments or set(fields(code)) <= given, f"{path}: {code}"
    assert seen > 10

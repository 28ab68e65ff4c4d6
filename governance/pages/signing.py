"""How a page has a person decide and sign: first the decision, then the statement and signature.

A view hands `decide_and_sign` what may be chosen, how to ask for the statement and which action
takes the envelope, and shows `components/sign.html` with what it returns::

    signing = decide_and_sign(
        request,
        choices=[("approve", "Approve"), ("reject", "Reject")],
        ask=lambda decision, comment: request_review(study=study, decision=decision, ...),
        act=lambda envelope: review_study(study=study, envelope=envelope, by=by),
    )
    if signing.done:
        return redirect(...)

Nothing is kept between the two steps: the statement goes to the browser and comes back signed,
and the action checks that it is one that the portal would have asked for.
"""

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.http import HttpRequest

from accounts.errors import ActionError
from governance import render
from governance.errors import GovernanceError, malformed
from governance.statement_requests import StatementRequest, signed_by_passkey

MAX_ENVELOPE_SIZE_BYTES = 2_000_000
"""A roster of thousands of members still fits."""


class DecisionForm(forms.Form):
    """What a person decides, and the words that go with it into the signed statement."""

    decision = forms.ChoiceField(
        label="What do you decide?",
        widget=forms.RadioSelect,
        error_messages={"required": "Choose a decision."},
    )
    comment = forms.CharField(
        label="Comment",
        help_text="It becomes part of the signed statement and is never changed.",
        max_length=2000,
        required=False,
        widget=forms.Textarea(attrs={"rows": 4}),
    )

    def __init__(self, *args: Any, choices: Sequence[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        decision = self.fields["decision"]
        assert isinstance(decision, forms.ChoiceField)
        decision.choices = list(choices)

    def clean_comment(self) -> str:
        """Return the comment with the line ends of the web page made plain."""
        return str(self.cleaned_data["comment"]).replace("\r\n", "\n").strip()


@dataclass
class Signing:
    """Where a person stands between deciding and having signed."""

    form: DecisionForm
    asked: StatementRequest | None = None
    error: str = ""
    done: bool = False

    @property
    def facts(self) -> list[render.Fact]:
        """What the statement says, in plain words made from its very bytes."""
        if self.asked is None:
            return []
        return [
            fact
            for fact in render.of_statement(self.asked.envelope)
            if fact.label != "Signed by" and fact.text
        ]

    @property
    def document(self) -> dict[str, Any]:
        """What `static/js/sign.js` needs."""
        return self.asked.to_json() if self.asked else {}

    @property
    def download(self) -> str:
        """The unsigned statement as a link that needs no second request."""
        envelope = self.asked.envelope.to_json() if self.asked else {}
        encoded = base64.b64encode(json.dumps(envelope, indent=2).encode()).decode()
        return f"data:application/json;base64,{encoded}"

    @property
    def valid_until(self) -> str:
        """Until when the signed statement is taken; empty where it has no end."""
        payload = self.asked.envelope.payload if self.asked else {}
        return str(payload.get("valid_until", ""))


def decide_and_sign(
    request: HttpRequest,
    *,
    choices: Sequence[tuple[str, str]],
    ask: Callable[[str, str], StatementRequest],
    act: Callable[[dict[str, Any]], Any],
) -> Signing:
    """Return how far the person is, after doing what `request` asks for.

    `ask(decision, comment)` returns the statement to sign, `act(envelope)` hands in a signed one.
    What either refuses is told in `error`.
    """
    if request.method != "POST":
        return Signing(DecisionForm(choices=choices))
    if request.POST.get("step") == "prepare":
        form = DecisionForm(request.POST, choices=choices)
        signing = Signing(form)
        if form.is_valid():
            try:
                signing.asked = ask(form.cleaned_data["decision"], form.cleaned_data["comment"])
            except (ActionError, GovernanceError) as error:
                signing.error = error.sentence
        return signing
    signing = Signing(DecisionForm(choices=choices))
    try:
        act(sent_envelope(request))
    except (ActionError, GovernanceError) as error:
        signing.error = error.sentence
    else:
        signing.done = True
    return signing


def sent_envelope(request: HttpRequest) -> dict[str, Any]:
    """Return the signed envelope that the form brought: a file, or what a passkey answered.

    *Raises* StatementError when there is none or it cannot be read. Nothing is verified here.
    """
    file = request.FILES.get("envelope_file")
    if file is not None:
        if file.size is None or file.size > MAX_ENVELOPE_SIZE_BYTES:
            raise malformed(f"expected a file of at most {MAX_ENVELOPE_SIZE_BYTES} bytes")
        envelope = dict(_read_object(file.read(), "the file"))
        if not envelope.get("signatures"):
            raise malformed("nobody has signed this file yet; sign it with quorate-sign first")
        return envelope
    if request.POST.get("credential"):
        unsigned = _read_object(request.POST.get("unsigned", ""), "the statement")
        credential = _read_object(request.POST["credential"], "the passkey's answer")
        return signed_by_passkey(unsigned, credential)
    raise malformed("expected the signed file, or a passkey's signature; came neither")


def _read_object(written: str | bytes, what: str) -> Mapping[str, Any]:
    try:
        value = json.loads(written)
    except ValueError:  # also a file that is not UTF-8
        raise malformed(f"{what} is not JSON") from None
    except RecursionError:
        raise malformed(f"{what} is nested too deep") from None
    if not isinstance(value, dict):
        raise malformed(f"expected an object in {what}")
    return value

"""The auditor's pages: browse the log, prove an entry, verify the whole, take it away.

They stand here and not in `audit`, which knows nobody: whose cosignatures count is in the roster.
"""

import tempfile
from datetime import UTC, datetime, time
from typing import Any, BinaryIO, cast

from django import forms
from django.core.paginator import Paginator
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_POST

from accounts.errors import ActionError
from accounts.models import User
from accounts.permissions import requires
from audit import checkpoint as tree_head
from audit import events, log, stored
from audit.signed_note import SignedNote
from governance.queries import current_roster
from governance.roster import Roster
from portal.audit_api import trust
from portal.audit_proof import proof_sheet

_PAGE_SIZE = 50
_MEMORY_BYTES = 4_000_000


def _event_choices() -> list[tuple[str, Any]]:
    """Return every event, by family; a family can be chosen as a whole."""
    families: dict[str, list[tuple[str, str]]] = {}
    for event in events.MUST_RECORD:
        family, _, what = event.partition(".")
        label = f"{family.capitalize()} {what.replace('_', ' ')}"
        choices = families.setdefault(family, [(f"{family}.", f"{family.capitalize()}: all")])
        choices.append((event, label))
    grouped = [(family.capitalize(), choices) for family, choices in families.items()]
    return [("", "All events"), *grouped]


class FilterForm(forms.Form):
    """Which entries to show."""

    event = forms.ChoiceField(label="Event", required=False, choices=_event_choices)
    actor = forms.CharField(label="Who", required=False, max_length=80)
    study = forms.CharField(label="Study", required=False, max_length=80)
    since = forms.DateField(
        label="From", required=False, widget=forms.DateInput(attrs={"type": "date"})
    )
    until = forms.DateField(
        label="Before", required=False, widget=forms.DateInput(attrs={"type": "date"})
    )

    def chosen(self) -> dict[str, Any]:
        """Return the filters for `audit.log.entries`; those that cannot be read filter nothing."""
        self.full_clean()
        valid = self.cleaned_data
        found: dict[str, Any] = {name: valid.get(name, "") for name in ("event", "actor", "study")}
        for name in ("since", "until"):
            day = valid.get(name)
            found[name] = datetime.combine(day, time(), UTC) if day else None
        return found


@requires("audit.view")
def audit(request: HttpRequest) -> HttpResponse:
    """List the entries, newest first, with the state of the log above them."""
    form = FilterForm(request.GET)
    found = log.entries(**form.chosen(), newest_first=True)
    page = Paginator(found, _PAGE_SIZE).get_page(request.GET.get("page"))
    actors = {entry.actor for entry in page}
    names = {user.member_id: str(user) for user in User.objects.filter(member_id__in=actors)}
    context = {
        "form": form,
        "page": page,
        "rows": [(entry, names.get(entry.actor, "")) for entry in page],
        "size": log.size(),
        "head": _latest_head(),
    }
    return render(request, "audit/log.html", context)


@requires("audit.view")
def entry(request: HttpRequest, index: int) -> HttpResponse:
    """Show one entry, its place in the hash chain, and the proof that it is in the log."""
    try:
        found = log.entry(index)
    except LookupError:
        raise Http404 from None
    actor = User.objects.filter(member_id=found.actor).first()
    context = {
        "entry": found,
        "leaf": found.leaf.decode(),
        "actor": actor,
        "data": sorted(found.data.items()),
        "previous": index - 1 if index else None,
        "next": index + 1 if index + 1 < log.size() else None,
        "proof": proof_sheet(found, _roster()),
    }
    return render(request, "audit/entry.html", context)


@requires("audit.view")
def receipt(request: HttpRequest, index: int) -> HttpResponse:
    """Hand out the receipt of an entry, for checking it away from the portal."""
    roster = _roster()
    try:
        text = log.receipt(index, witnesses=roster.witnesses() if roster else ())
    except LookupError:
        raise Http404 from None
    return _download(text, f"entry-{index}.tlog-proof")


@requires("audit.view")
def checkpoint(request: HttpRequest) -> HttpResponse:
    """Hand out the latest checkpoint with its cosignatures: an auditor keeps it until next time."""
    head = _latest_head()
    if head is None:
        raise Http404
    return _download(head["note"], f"checkpoint-{head['size']}.txt")


@requires(POST="audit.view")
@require_POST
def verify(request: HttpRequest) -> HttpResponse:
    """Recompute the whole log now and say what differs."""
    try:
        context = {"report": stored.verify_all(trust()), "refused": ""}
    except ActionError as error:
        context = {"report": None, "refused": error.sentence}
    return render(request, "audit/verification.html", context)


@requires(GET="audit.view")
def export(request: HttpRequest) -> HttpResponseBase:
    """Hand out the whole log as a bundle for `python -m audit.verify`."""
    file = tempfile.SpooledTemporaryFile(max_size=_MEMORY_BYTES)  # noqa: SIM115
    stored.export(cast("BinaryIO", file))
    file.seek(0)
    # FileResponse closes the file when it has been sent.
    return FileResponse(
        file, as_attachment=True, filename="audit-log.jsonl", content_type="application/jsonl"
    )


def _roster() -> Roster | None:
    try:
        return current_roster()
    except ActionError:
        return None


def _latest_head() -> dict[str, Any] | None:
    """Return the latest checkpoint, who has cosigned it, and how many must."""
    latest, roster = log.latest_checkpoint(), _roster()
    if latest is None:
        return None
    witnesses = roster.witnesses() if roster else ()
    published = log.checkpoint_at(latest.size, witnesses=witnesses)
    cosigners = tree_head.cosigners(SignedNote.parse(published.note), witnesses)
    return {
        "size": published.size,
        "root": published.root.hex(),
        "origin": published.origin,
        "note": published.note,
        "cosigners": sorted(cosigners),
        "needed": roster.rules.cosignatures if roster else 0,
        "witnesses": len(witnesses),
        "log_key": roster.portal.log_key if roster else "",
        "witness_keys": [key.encode() for key in witnesses],
    }


def _download(text: str, name: str) -> HttpResponse:
    answer = HttpResponse(text, content_type="text/plain; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer

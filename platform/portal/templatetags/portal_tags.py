"""Template tags of the portal's pages; every template has them without loading.

{% breadcrumb "Studies" studies_url study.title %}    label, address, ..., and where one is
{% badge study.state study.get_state_display %}       a state in its colour
{% owner "With: governance committee" study.state_since %}
{% digest study.current.digest %}                     grouped as people read it, with Copy
{% field form.title %}  {% error_summary form %}
{% facts facts %}                                     governance.render's lines
{% empty "No studies yet" "An investigator proposes one." href="..." action="..." %}
{% meter 400 1000 "Privacy budget spent" %}
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from django import template
from django.forms import BaseForm, BoundField, CheckboxInput, CheckboxSelectMultiple, RadioSelect
from django.utils import timezone
from django.utils.timesince import timesince

from governance.render import Fact
from governance.roster import fingerprint

register = template.Library()

_TONES: Mapping[str, str] = {
    **dict.fromkeys(
        ["approved", "approve", "ready", "visible", "succeeded", "consent", "pass", "listed"],
        "good",
    ),
    **dict.fromkeys(
        ["in_review", "proposed", "pending", "running", "opening", "opened", "sealed", "decided"],
        "now",
    ),
    **dict.fromkeys(["returned", "return", "conflicted", "waiting", "expired", "unlisted"], "warn"),
    **dict.fromkeys(
        ["rejected", "reject", "revoked", "revoke", "failed", "withheld", "withhold"], "bad"
    ),
    **dict.fromkeys(["decline", "withdraw", "withdrawn", "inactive"], "bad"),
}


@register.inclusion_tag("components/badge.html")
def badge(state: str, label: str = "") -> dict[str, str]:
    """Show a state: the word says it, the colour repeats it."""
    text = label or str(state).replace("_", " ").capitalize()
    return {"tone": _TONES.get(str(state), ""), "label": text}


@register.inclusion_tag("components/owner.html")
def owner(who: str, since: datetime | None = None) -> dict[str, Any]:
    """Show who acts next, and since when it has been theirs."""
    return {"who": who, "since": since}


@register.inclusion_tag("components/digest.html")
def digest(value: str, label: str = "digest") -> dict[str, str]:
    """Show a digest or key in groups of four, with a button that copies it whole."""
    return {"value": value, "grouped": grouped(value), "label": label}


@register.inclusion_tag("components/breadcrumb.html")
def breadcrumb(*steps: Any) -> dict[str, Any]:
    """Show the way here: label and address in turn, and last the label of this page."""
    *way, here = steps
    return {"way": list(zip(way[::2], way[1::2], strict=True)), "here": here}


@register.inclusion_tag("components/field.html")
def field(bound: BoundField) -> dict[str, Any]:
    """Show a form field with its label, hint and errors."""
    widget = bound.field.widget
    return {
        "field": bound,
        "is_group": isinstance(widget, RadioSelect | CheckboxSelectMultiple),
        "is_checkbox": isinstance(widget, CheckboxInput),
    }


@register.inclusion_tag("components/error_summary.html")
def error_summary(form: BaseForm) -> dict[str, Any]:
    """Show what is wrong with a form, each line a link to its field."""
    fields = [bound for bound in form if bound.errors]
    return {"fields": fields, "general": form.non_field_errors(), "shown": bool(form.errors)}


@register.inclusion_tag("components/facts.html")
def facts(lines: Iterable[Fact]) -> dict[str, Any]:
    """Show what is signed or asked, line by line, in the words of governance.render."""
    return {"lines": list(lines)}


@register.inclusion_tag("components/empty.html")
def empty(title: str, text: str = "", href: str = "", action: str = "") -> dict[str, str]:
    """Show that there is nothing here, and who acts next."""
    return {"title": title, "text": text, "href": href, "action": action}


@register.inclusion_tag("components/meter.html")
def meter(value: int, maximum: int, label: str) -> dict[str, Any]:
    """Show how much of a budget is spent."""
    return {"value": value, "maximum": maximum, "high": maximum * 4 // 5, "label": label}


@register.inclusion_tag("components/pagination.html", takes_context=True)
def pagination(context: Mapping[str, Any], page: Any) -> dict[str, Any]:
    """Show the ways to the other pages of a list, filters kept."""
    return {"page": page, "request": context["request"]}


@register.filter
def grouped(value: str) -> str:
    """Return hex digits in groups of four; anything else as it is."""
    return fingerprint(value) if len(value) == 64 else value


@register.filter
def waiting(moment: datetime | None) -> str:
    """Return how long something has been so, such as "for 2 days"; "just now" at first."""
    elapsed = since(moment)
    return "just now" if elapsed == "a moment" else f"for {elapsed}"


@register.filter
def since(moment: datetime | None) -> str:
    """Return how long ago in one unit, such as "2 days"; "a moment" below a minute."""
    if moment is None:
        return ""
    elapsed = timesince(moment, timezone.now(), depth=1)
    return "a moment" if elapsed.startswith("0") else elapsed

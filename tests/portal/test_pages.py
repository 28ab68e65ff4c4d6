"""Home, navigation, error pages, health: what every person's pages have in common."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.template import Context, Template
from django.test import Client, RequestFactory
from django.utils import timezone

from accounts.models import User
from governance.models import Notification
from portal import navigation
from portal.templatetags.portal_tags import since, waiting
from studies.models import Study
from tests.factories.portal import House


def signed_in(person: User) -> Client:
    client = Client()
    client.force_login(person)
    return client


def section(page: str, heading: str) -> str:
    """Return what stands in the section that `heading` names."""
    return re.split(rf'aria-labelledby="{heading}"', page)[1].split("</section>")[0]


def test_health_is_for_everyone_and_says_ok(db: None) -> None:
    answer = Client().get("/health/")
    assert (answer.status_code, answer.content) == (200, b"ok\n")


def test_a_stranger_is_sent_to_the_login_page_and_back(db: None) -> None:
    answer = Client().get("/roster/")
    assert answer.headers["Location"] == "/login/?next=/roster/"


def test_home_puts_a_study_under_what_it_is_to_each_person(
    study_in_review: Study, reviewer: User, pi: User, portal_operator: User
) -> None:
    title = study_in_review.title
    to_review = signed_in(reviewer).get("/").content.decode()
    assert title in section(to_review, "to-do")
    assert "Review the study plan" in section(to_review, "to-do")
    proposed = signed_in(pi).get("/").content.decode()
    assert title in section(proposed, "in-progress")
    assert "With: governance committee" in section(proposed, "in-progress")
    assert title not in signed_in(portal_operator).get("/").content.decode()


def test_notifications_are_counted_until_they_are_read(
    study_in_review: Study, reviewer: User, chair: User
) -> None:
    client = signed_in(reviewer)
    assert "unread notifications" in client.get("/").content.decode()
    client.post("/notifications/read/")
    assert "unread notifications" not in client.get("/").content.decode()
    assert Notification.objects.filter(user=chair, read_at=None).exists(), "others' stay unread"


def test_navigation_shows_each_role_the_pages_it_may_open(house: House, rf: RequestFactory) -> None:
    def labels(member: str) -> list[str]:
        request = rf.get("/roster/")
        request.user = house.people[member]
        shown: Any = navigation.context(request)["navigation"]
        assert [item.label for item in shown if item.current] == ["Roster"]
        return [item.label for item in shown]

    assert labels("m-ines") == ["Home", "Studies", "Classes", "Roster"]
    assert labels("m-aude") == ["Home", "Studies", "Classes", "Roster", "Audit"]
    assert labels("m-pete") == ["Home", "Classes", "Roster", "People"]


def test_errors_are_explained_in_the_portals_own_words(pi: User) -> None:
    client = signed_in(pi)
    forbidden, missing = client.get("/people/"), client.get("/nothing/")
    assert (forbidden.status_code, missing.status_code) == (403, 404)
    assert "None of your roles allows it" in forbidden.content.decode()
    assert "There is nothing here for you" in missing.content.decode()


def test_every_page_obeys_the_content_security_policy(house: House) -> None:
    """No inline style, script or handler: the policy would silently drop it."""
    for member, path in {
        "m-ines": "/", "m-ruth": "/account/", "m-pete": "/people/", "m-carl": "/roster/",
        "m-aude": "/audit/", "m-olga": "/classes/kaplan-meier/1/", "m-otto": "/nothing/",
    }.items():  # fmt: skip
        answer = signed_in(house.people[member]).get(path)
        policy, page = answer.headers["Content-Security-Policy"], answer.content.decode()
        assert "script-src 'self'" in policy
        assert not re.search(r"<[^>]+\s(style|on[a-z]+)=", page), path
        for script in re.findall(r"<script[^>]*>", page):
            assert " src=" in script or "application/json" in script, path


def test_what_people_write_is_escaped_in_messages_and_facts() -> None:
    from governance.render import Fact

    page = Template("{% facts lines %}").render(Context({"lines": [Fact("Title", "<b>&\n2")]}))
    assert "&lt;b&gt;&amp;<br>2" in page


@pytest.mark.parametrize(
    ("days", "ago", "for_long"),
    [(0, "a moment", "just now"), (2, "2\xa0days", "for 2\xa0days")],
)
def test_times_are_told_in_one_unit(days: int, ago: str, for_long: str) -> None:
    moment = timezone.now() - timedelta(days=days)
    assert (since(moment), waiting(moment)) == (ago, for_long)

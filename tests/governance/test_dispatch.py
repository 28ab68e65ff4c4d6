"""Wake-up calls leave on commit, and what listens to them may be away."""

from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest
from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.core import mail
from django.db import transaction
from kombu.exceptions import OperationalError

from accounts.models import User
from governance import dispatch, notifications
from governance.models import Notification
from studies.models import Study
from tests.factories.portal import House


@pytest.mark.django_db(transaction=True)
def test_nothing_leaves_before_the_commit_or_after_a_rollback() -> None:
    with mock.patch.object(dispatch.current_app, "send_task") as send:
        with transaction.atomic():
            dispatch.open_result("run-1")
            send.assert_not_called()
        send.assert_called_once_with("workers.coordinator.open_result", ["run-1"], retry=False)
        send.reset_mock()
        with transaction.atomic():
            dispatch.decide("run-1")
            transaction.set_rollback(True)
        send.assert_not_called()


@pytest.mark.django_db(transaction=True)
def test_a_broker_that_is_down_stops_nobody(caplog: pytest.LogCaptureFixture) -> None:
    with mock.patch.object(dispatch.current_app, "send_task", side_effect=OperationalError("no")):
        dispatch.advance("run-1")
    assert "Could not send workers.coordinator.advance for run-1" in caplog.text


@pytest.mark.django_db(transaction=True)
def test_a_hint_says_only_that_something_changed() -> None:
    layer: Any = get_channel_layer()
    channel = async_to_sync(layer.new_channel)()
    async_to_sync(layer.group_add)(dispatch.study_group("st-1"), channel)
    dispatch.hint(dispatch.study_group("st-1"))
    assert async_to_sync(layer.receive)(channel) == {"type": "changed"}


def test_a_mail_server_that_is_down_stops_nobody(
    approved_study: Study,
    django_capture_on_commit_callbacks: Callable[..., Any],
    caplog: pytest.LogCaptureFixture,
    pi: User,
) -> None:
    down = mock.patch.object(notifications, "send_mail", side_effect=ConnectionRefusedError)
    with down, django_capture_on_commit_callbacks(execute=True):
        notifications.study_ready(approved_study)
    assert mail.outbox == []
    assert "Could not send a notification" in caplog.text
    newest = Notification.objects.filter(user=pi).latest("pk")
    assert newest.text.endswith("is ready to run.")


def test_a_title_cannot_break_a_mails_subject(
    approved_study: Study, django_capture_on_commit_callbacks: Callable[..., Any]
) -> None:
    approved_study.title = "One\nBcc: everyone@example.org"
    with django_capture_on_commit_callbacks(execute=True):
        notifications.study_ready(approved_study)
    assert mail.outbox[-1].subject == "Quorate: “One Bcc: everyone@example.org” is ready to run."


def test_a_reason_s_own_full_stop_is_not_doubled(house: House, pi: User) -> None:
    run = house.run()
    run.reason = "birch was lost during the run."
    notifications.run_ended_badly(run)
    newest = Notification.objects.filter(user=pi).latest("pk")
    assert newest.text.endswith("did not finish: birch was lost during the run.")

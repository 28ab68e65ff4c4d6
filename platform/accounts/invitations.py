"""The e-mail by which a person chooses their password; nobody else ever sees its link."""

from django.conf import settings
from django.contrib.auth.tokens import default_token_generator
from django.core.mail import send_mail
from django.urls import reverse
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from accounts.errors import ActionRefusedError
from accounts.models import User
from accounts.policies import check_can_manage_people

_TEXT = """Hello {name},

you are invited to Quorate, where organisations compute together and share nothing.
Choose your password here; the link holds for {days} days and works once:

{link}

Your user name is {username}.
"""


def send_invitation(*, user: User, by: User) -> None:
    """Send `user` a link with which they choose a password.

    *Security*: the link goes to the person's own address only. Whoever manages people does not
    see it, so they cannot sign in as somebody else.
    *Raises* ActionRefusedError for a closed account, and when the mail server does not take it.
    """
    check_can_manage_people(by)
    if not user.is_active:
        raise ActionRefusedError("account_closed", "This account is closed.")
    key = urlsafe_base64_encode(force_bytes(user.pk))
    path = reverse("welcome", args=[key, default_token_generator.make_token(user)])
    text = _TEXT.format(
        name=user,
        days=settings.PASSWORD_RESET_TIMEOUT // 86_400,
        link=f"{settings.PUBLIC_URL}{path}",
        username=user.username,
    )
    try:
        send_mail("Quorate: your invitation", text, None, [user.email])
    except OSError:  # SMTP errors are OSErrors
        raise ActionRefusedError(
            "mail_failed",
            f"The mail server did not take the invitation to {user.email}. Send it again from the"
            " person's page.",
        ) from None

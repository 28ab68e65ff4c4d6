"""Forms about people, organisations, sites and keys: labels, hints and parsing; actions judge."""

from django import forms
from django.contrib.auth.forms import AuthenticationForm, UsernameField

from accounts.errors import ActionError, InvalidFieldsError
from accounts.models import Organisation
from accounts.roles import Role


def explain(form: forms.Form, error: ActionError) -> None:
    """Put what `error` says beside the fields that it names, or above the form."""
    fields = error.fields if isinstance(error, InvalidFieldsError) else {}
    for name, problem in fields.items():
        form.add_error(name if name in form.fields else None, problem)
    if not fields:
        form.add_error(None, error.sentence)


class SignInForm(AuthenticationForm):
    """User name and password."""

    username = UsernameField(label="User name", widget=forms.TextInput(attrs={"autofocus": True}))

    error_messages = {
        "invalid_login": "This user name and password do not go together.",
        "inactive": "This account is closed.",
    }


class SigningKeyForm(forms.Form):
    """A person's Ed25519 public key, with the proof that they hold the private half."""

    name = forms.CharField(
        label="Name", max_length=80, help_text="What you will recognise it by, such as “Laptop”."
    )
    public_key = forms.CharField(
        label="Public key", max_length=64, help_text="64 hex digits, as quorate-sign prints them."
    )
    proof = forms.CharField(
        label="Proof of possession",
        max_length=128,
        help_text="128 hex digits: a signature over your member name, made by this key.",
    )


class OrganisationForm(forms.Form):
    """A new organisation."""

    name = forms.CharField(label="Name", max_length=200)
    slug = forms.CharField(
        label="Short name",
        max_length=50,
        help_text="In statements and the log, for ever. Lower-case letters, digits and hyphens.",
    )


class SiteForm(forms.Form):
    """A new site."""

    organisation = forms.ModelChoiceField(
        queryset=Organisation.objects.filter(site=None).order_by("name"),
        label="Organisation",
        help_text="Each organisation has one site. Those that have one already are not listed.",
    )
    slug = forms.CharField(
        label="Short name",
        max_length=50,
        help_text="What plans, statements and the log call the site, for ever.",
    )


class PersonForm(forms.Form):
    """A person to invite."""

    first_name = forms.CharField(label="First name", max_length=150)
    last_name = forms.CharField(label="Last name", max_length=150)
    email = forms.EmailField(label="E-mail", help_text="The invitation goes here.")
    username = forms.CharField(
        label="User name", max_length=150, help_text="What they sign in with."
    )
    organisation = forms.ModelChoiceField(
        queryset=Organisation.objects.order_by("name"), label="Organisation"
    )
    roles = forms.MultipleChoiceField(
        label="Roles",
        choices=Role.choices,
        widget=forms.CheckboxSelectMultiple,
        help_text="A portal operator holds no other role.",
    )


class RolesForm(forms.Form):
    """The roles that a person holds."""

    roles = forms.MultipleChoiceField(
        label="Roles",
        choices=Role.choices,
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="In the portal. What somebody may sign is for the roster to say.",
    )

    def changes(self, held: set[str]) -> tuple[list[str], list[str]]:
        """Return the roles to grant and those to remove, for a person who holds `held`."""
        wanted = set(self.cleaned_data["roles"])
        return sorted(wanted - held), sorted(held - wanted)

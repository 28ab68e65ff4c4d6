"""Whether the situation allows a change of people and roles. `check_can_x` raises the reason."""

from accounts.errors import ActionRefusedError, NotPermittedError
from accounts.models import User
from accounts.permissions import check_permission
from accounts.roles import Role

DECIDING_ROLES = frozenset(set(Role) - {Role.PORTAL_OPERATOR})
"""Roles that decide about studies or read of them: a portal operator holds none."""


def check_can_manage_people(by: User | None) -> None:
    """Raise NotPermittedError unless `by` manages people; None is the server's console."""
    if by is not None:
        check_permission(by, "people.manage")


def check_can_hold(user: User, role: Role) -> None:
    """Raise ActionRefusedError when `role` does not go together with what the person already is."""
    held = {Role(membership.role) for membership in user.memberships.all()}
    after = held | {role}
    if Role.PORTAL_OPERATOR in after and after & DECIDING_ROLES:
        raise ActionRefusedError(
            "roles_conflict",
            "A portal operator can neither decide nor read results, so nobody is portal operator"
            " and something else. Give the other role to another person.",
        )


def check_can_grant(user: User, role: Role, by: User | None) -> None:
    """Raise unless `by` may give `role` to `user`."""
    check_can_manage_people(by)
    if by is not None and by.pk == user.pk:
        raise NotPermittedError("own_role", "Nobody changes their own roles. Ask another operator.")
    check_can_hold(user, role)


def check_can_deactivate(user: User, by: User | None) -> None:
    """Raise unless `by` may close the account of `user`."""
    check_can_manage_people(by)
    if by is not None and by.pk == user.pk:
        raise NotPermittedError(
            "own_account", "Nobody closes their own account. Ask another operator."
        )

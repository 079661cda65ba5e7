"""Everything that H5mag tells the extension, on one screen."""

from __future__ import annotations

import sqlalchemy as sa
from flask_login import current_user
from sqlalchemy.orm import Session

from flask_h5mag_scim import GroupResource, H5magSCIM, Membership, UserResource

from . import mail, recovery
from .models import ASSIGNABLE_ROLES, OWNER, Account, Magazine, Team, TeamMember, User, db


class Users(UserResource):
    """Users whose magazines outlive them."""

    def delete(self, session: Session, obj: User) -> None:
        """Hand the person's magazines to the account's first owner, then delete the person."""
        heir = session.scalar(
            sa.select(User.id)
            .where(User.account_id == obj.account_id, User.role == OWNER, User.id != obj.id)
            .order_by(User.created_at, User.id)
            .limit(1)
        )
        session.execute(
            sa.update(Magazine).where(Magazine.owner_id == obj.id).values(owner_id=heir)
        )
        super().delete(session, obj)


def find_account(text: str) -> Account | None:
    """The account that an operator means, by its slug, or by a name that no other has."""
    by_slug = db.session.scalar(sa.select(Account).filter_by(slug=text))
    return by_slug or db.session.scalars(sa.select(Account).filter_by(name=text)).one_or_none()


scim = H5magSCIM(
    db,
    account=Account,
    user=Users(
        User,
        account="account_id",
        attributes={
            "externalId": "external_id",
            "userName": "username",
            "active": "active",
            "displayName": "display_name",
            'emails[type eq "work"].value': "email",
            "preferredLanguage": "language",
            "name.givenName": "first_name",
            "name.familyName": "last_name",
            "name.formatted": "full_name",
            "locale": "locale",
            "timezone": "timezone",
            "userType": "user_type",
            "roles[primary eq true].value": "role",
            "meta.created": "created_at",
            "meta.lastModified": "updated_at",
            "*": "scim_extra",
        },
        roles=ASSIGNABLE_ROLES,
        owner_role=OWNER,
    ),
    group=GroupResource(
        Team,
        account="account_id",
        attributes={
            "externalId": "external_id",
            "displayName": "name",
            "meta.created": "created_at",
            "meta.lastModified": "updated_at",
        },
        members=Membership(TeamMember, group="team_id", user="user_id"),
    ),
    current_account=lambda: getattr(current_user, "account", None),
    find_account=find_account,
    can_manage=lambda user, account: user.account_id == account.id and user.is_manager,
    is_licensed=lambda account: account.plan == "enterprise",
    second_factor=recovery.shown,
    mail_admins=mail.to_admins,
)

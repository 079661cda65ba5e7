"""``H5magSCIM``: what a host creates once and registers on each application."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar, cast

import sqlalchemy as sa
from flask import Blueprint, Flask, url_for
from flask.blueprints import BlueprintSetupState
from flask.sansio.app import App

from . import cli, config
from .provisioning.groups import GroupResource
from .provisioning.users import UserResource
from .records import links, locks, providers, versions
from .records.models import Mode, declare, single_key
from .state import EXTENSION, State, get_state
from .web import (
    directory,
    forms,
    managed,
    modes,
    oauth,
    pages,
    people,
    require,
    scim,
    sessions,
    sign_out,
    sso,
)

U = TypeVar("U")


def _always(user: Any, account: Any) -> bool:
    return True


def _never(user: Any) -> bool:
    return False


def _unsent(account: Any, subject: str, text: str) -> None:
    """For a host that listens to the signals, or to nothing."""


#: The callbacks, and what each is called with.
_CALLED_WITH: dict[str, tuple[str, ...]] = {
    "current_account": (),
    "find_account": ("text",),
    "can_manage": ("user", "account"),
    "is_licensed": ("account",),
    "can_adopt": ("user", "account"),
    "is_protected": ("user",),
    "second_factor": ("user",),
    "mail_admins": ("account", "subject", "text"),
}


def _check_callback(name: str, callback: object, arguments: tuple[str, ...]) -> None:
    if not callable(callback):
        raise TypeError(f"{name} must be a function.")
    try:
        # What a decorator passes on is its own affair.
        signature = inspect.signature(callback, follow_wrapped=False)
    except ValueError:
        return  # one written in C that does not say
    try:
        signature.bind(*arguments)
    except TypeError as error:
        # Some are asked on rare days only, and what mail_admins raises is merely logged.
        raise TypeError(
            f"{name} is called as {name}({', '.join(arguments)}), and takes {signature}: {error}."
        ) from error


class _Blueprint(Blueprint):
    def register(self, app: App, options: dict[str, Any]) -> None:
        # Before Flask refuses it, whose advice to take another name leads nowhere.
        if EXTENSION in app.extensions:
            raise config.ConfigurationError(
                "flask_h5mag_scim is registered on this application already: call "
                "register_blueprint(scim.blueprint) or scim.init_app(app), and only once."
            )
        super().register(app, options)


class H5magSCIM:
    """Provisioning and single sign-on for one host.

    :param db: the host's :class:`flask_sqlalchemy.SQLAlchemy`.
    :param account: the model of a customer; the tenant.
    :param user: how SCIM users are stored, a :class:`UserResource`.
    :param group: how SCIM groups are stored, a :class:`GroupResource`.
    :param current_account: called without arguments within a request; the account whose
        page the signed-in user sees, or ``None``.
    :param find_account: called with a text; the account that an operator means by it in
        the shell, or ``None``. Where several are called so it must not choose: a
        ``sqlalchemy.exc.MultipleResultsFound``, as of ``one_or_none()``, is told as a sentence.
    :param can_manage: called with a user and an account; whether the user may open
        "Provisioning & SSO" of that account.
    :param is_licensed: called with an account; whether its plan includes provisioning and
        single sign-on. Without it SCIM answers 403, the page can only be read and
        :meth:`sso_url` is ``None``.
    :param can_adopt: called with a user that the host already had and the account, at the
        first SCIM write to that user: whether provisioning may take the user over. A user for
        whom it says no can be read and found, and every write is 403. Everybody may be taken
        over within the account unless it says otherwise.
    :param is_protected: called with a user that SCIM is about to deactivate or delete:
        whether to answer 403 instead. Nobody is protected unless it says so.
    :param second_factor: called by :meth:`password_allowed` with a break-glass owner of an
        account that requires Microsoft: whether they have just shown a second factor of the
        host's. Without it no account can require Microsoft.
    :param mail_admins: called with an account, a subject and a text in plain words, when the
        account's admins should hear of something: a token or secret that ends soon, Microsoft
        Entra that stays away or fails, the mass-deactivation brake. Sends both to whoever the
        host takes for the admins; after the commit and once for each cause. What it raises is
        logged. It may run within a request of Microsoft Entra's: queue the mail.
    :raises TypeError: when a model or a callback does not fit.
    :raises ValueError: when the attribute map is wrong; the message says which row.

    One instance serves any number of applications. Its own tables are declared on
    ``db.Model`` right here, so that migrations and ``db.create_all()`` see them.
    """

    def __init__(
        self,
        db: Any,
        *,
        account: type[Any],
        user: UserResource,
        group: GroupResource,
        current_account: Callable[[], Any],
        find_account: Callable[[str], Any],
        can_manage: Callable[[Any, Any], bool],
        is_licensed: Callable[[Any], bool],
        can_adopt: Callable[[Any, Any], bool] = _always,
        is_protected: Callable[[Any], bool] = _never,
        second_factor: Callable[[Any], bool] | None = None,
        mail_admins: Callable[[Any, str, str], object] | None = None,
    ) -> None:
        self.db = db
        self.account = account
        self.user = user
        self.group = group
        self.current_account = current_account
        self.find_account = find_account
        self.can_manage = can_manage
        self.is_licensed = is_licensed
        self.can_adopt = can_adopt
        self.is_protected = is_protected
        #: Whether the host has one. Without it no password would open an account that
        #: requires Microsoft, so that none can.
        self.knows_second_factor = second_factor is not None
        self.second_factor = _never if second_factor is None else second_factor
        self.mail_admins = _unsent if mail_admins is None else mail_admins
        for name, arguments in _CALLED_WITH.items():
            _check_callback(name, getattr(self, name), arguments)

        for argument, resource, kind in (
            ("user", user, UserResource),
            ("group", group, GroupResource),
        ):
            if not isinstance(resource, kind):
                raise TypeError(f"{argument} must be a {kind.__name__}, not {resource!r}.")
        self._account_key = single_key(account)
        # First of all, because it refuses to be done twice: what another instance has attached
        # to itself stays its own.
        self.records = declare(db, account=account, user=user.model, group=group.model)
        group.attach(user)
        user.attach(
            group,
            # Asked of the instance each time: who tests a host replaces it there.
            is_protected=lambda obj: self.is_protected(obj),
            lock_account=lambda session, key: locks.lock_account(session, account, key),
        )
        group.revision = partial(versions.revision, self.records)
        self.Token = self.records.Token
        self.FederatedCredential = self.records.FederatedCredential
        self.IdentityProvider = self.records.IdentityProvider
        self.UserLink = self.records.UserLink
        self.GroupVersion = self.records.GroupVersion
        self.LogEntry = self.records.LogEntry

        #: Register this on the application; it brings the SCIM routes, the page and the
        #: single sign-on routes.
        self.blueprint = _Blueprint("h5mag_scim", __name__)
        self.blueprint.record(self._set_up)

    def init_app(self, app: Flask) -> None:
        """The same as ``app.register_blueprint(scim.blueprint)``.

        Reads these values of ``app.config``:

        - ``H5MAG_SCIM_PUBLIC_URL``: the public https address; required outside debug and
          testing
        - ``H5MAG_SCIM_URL_PREFIX``: ``/scim/v2``
        - ``H5MAG_SCIM_PAGE_URL_PREFIX``: ``/account/provisioning``
        - ``H5MAG_SCIM_SSO_URL_PREFIX``: ``/sso``
        - ``H5MAG_SCIM_OAUTH_URL_PREFIX``: ``/scim-oauth``
        - ``H5MAG_SCIM_LAYOUT``: the template that the pages extend
        - ``H5MAG_SCIM_LOGIN_ENDPOINT``: the host's login view, ``login``
        - ``H5MAG_SCIM_MAX_RESULTS``: the most resources in one list, 200
        - ``H5MAG_SCIM_TOKEN_LIFETIME``: a timedelta or days, 365; ``None`` for no end
        - ``H5MAG_SCIM_ACCESS_TOKEN_LIFETIME``: a timedelta or seconds, 3600 to 21600; 3600
        - ``H5MAG_SCIM_SUPPORT_EMAIL``: whom a customer without a licence asks
        - ``H5MAG_SCIM_LOG_RETENTION``: a timedelta or days, 30: what is older is removed by
          ``flask scim log prune``
        - ``H5MAG_SCIM_LOG_VALUES``: ``masked``, ``none`` or ``full``: how much of people's
          values the log keeps
        - ``H5MAG_SCIM_BRAKE_USERS``, ``H5MAG_SCIM_BRAKE_PERCENT``: how many users of an
          account, or how many in a hundred, SCIM may deactivate or delete within an hour; no
          limit
        - ``H5MAG_SCIM_OIDC_CLIENT_ID``, ``H5MAG_SCIM_OIDC_CLIENT_SECRET``: the host's
          registration at Microsoft
        - ``H5MAG_SCIM_OIDC_CLOUDS``: more clouds, name to authority
        - ``H5MAG_SCIM_SSO_RATE_LIMIT`` (``300``), sign-ins a minute from one address
        - ``H5MAG_SCIM_CORS_ORIGINS``: origins whose scripts may use the SCIM addresses
        - ``H5MAG_SCIM_ENCRYPTION_KEYS``: what encrypts the secrets of accounts' own
          registrations at Microsoft, the newest first; derived from ``SECRET_KEY``

        :raises flask_h5mag_scim.config.ConfigurationError: when one of them is wrong.
        """
        app.register_blueprint(self.blueprint)

    def account_key(self, account: Any) -> Any:
        """The primary key of an account's row."""
        return getattr(account, self._account_attribute)

    @property
    def _account_attribute(self) -> str:
        return str(sa.inspect(self.account).get_property_by_column(self._account_key).key)

    def sso_url(
        self, account: Any, *, next: str | None = None, login_hint: str | None = None
    ) -> str | None:
        """Where the people of ``account`` sign in, or ``None`` for the host's own login: what a
        login view redirects to as soon as it knows the account.

        :param account: the account's row.
        :param next: the local path to return to; anything else is dropped.
        :param login_hint: the name that the person typed; Microsoft fills it in.
        """
        wanted = (Mode.REDIRECT, Mode.REQUIRE)
        return self._sign_in_url(account, wanted, next=next, login_hint=login_hint)

    def sso_button_url(
        self, account: Any, *, next: str | None = None, login_hint: str | None = None
    ) -> str | None:
        """Where a button "Sign in with Microsoft" beside the host's password field leads, or
        ``None`` for no button. The same address as :meth:`sso_url`, also for an account that
        shows the button and does not redirect.
        """
        wanted = (Mode.BUTTON, Mode.REDIRECT, Mode.REQUIRE)
        return self._sign_in_url(account, wanted, next=next, login_hint=login_hint)

    def _sign_in_url(
        self, account: Any, wanted: Sequence[Mode], *, next: str | None, login_hint: str | None
    ) -> str | None:
        if account is None:
            return None
        state = get_state()
        provider = providers.in_force(state.session, self.records, self.account_key(account))
        if provider is None or modes.serving(provider, account) not in wanted:
            return None
        if not directory.is_registered(state.config, provider):
            return None
        return url_for(
            f"{sso.blueprint.name}.login",
            public_id=provider.public_id,
            next=next,
            login_hint=login_hint,
        )

    def password_allowed(self, user: Any) -> bool:
        """Whether anything but Microsoft may let ``user`` in: the one question before every
        log-in with a password, reset of one, magic link and remember-me cookie.

        ``False`` where the account requires Microsoft, but for its break-glass owners, of
        whom ``second_factor`` must say that they have just shown one. Ask when the password
        has proved right and the second factor is there, in the request that calls
        ``login_user()``: the session that begins then lasts for an hour, is logged, and told
        by the signal ``break_glass_used``. Refusals are logged, too.

        :param user: whom the host would let in. Somebody who is no user of the user model, or
            belongs to no account, is the host's own business.
        """
        return modes.password_allowed(user)

    def break_glass_owners(self, account: Any) -> list[Any]:
        """Who keeps the password when ``account`` requires Microsoft; entities of the user
        model.
        """
        return require.break_glass_owners(account)

    def name_break_glass(self, account: Any, user_names: Sequence[str], *, by: str) -> None:
        """Let exactly the people with these user names be the break-glass owners, as the page
        does. Logs it; does not commit.

        :param by: who did it, for the log.
        :raises ValueError: with a sentence, when somebody cannot be one, or when nobody would
            be left although Microsoft is required.
        """
        require.name_break_glass(account, require.find_break_glass(account, user_names), by=by)

    def session_guard(self, user: U | None) -> U | None:
        """``user`` while the session of this request speaks for them, else ``None``: what a
        ``user_loader`` returns. One small statement beside the host's own.

        ``None`` for nobody; for somebody who is not active, as the map and Flask-Login say; and
        for a session of another account or user, one that began before the sessions of its
        user or account were ended, and one that came from Microsoft longer ago than the
        account allows. Outside a request only the first two are asked.

        :param user: what the host has loaded, or ``None``. Somebody who is no user of the
            user model, or belongs to no account, only has to be active.
        """
        return user if sessions.permits(user) else None

    def end_sessions(self, user: Any) -> None:
        """End every session that a user has, everywhere: for a view of the host's own that
        deactivates somebody or changes a password. In the caller's transaction; does not
        commit.

        :param user: an entity of the user model, flushed.
        """
        account_id = getattr(user, self.user.account)
        links.end_sessions(self.db.session, self.records, account_id, self.user.key(user))

    def signed_out_url(self) -> str | None:
        """Where to send the person whom the host's logout is about to sign out, or ``None``
        for the host's own page: asked before ``logout_user()``.

        Who came in through Microsoft may be signed in there still, and is offered to sign out
        there as well. The page waits: it signs nobody in again by itself.
        """
        return sign_out.signed_out_url()

    def safe_next(self, text: str | None, *, besides: Sequence[str] = ()) -> str | None:
        """``text`` when it is a local path that a login view can return to, else ``None``.

        Never the login itself, a logout beside it, a SCIM or single sign-on address, or
        another host in any disguise.

        :param text: what came as ``?next=``.
        :param besides: more paths that are not to be returned to.
        """
        return sso.page_after_login(text, besides=besides)

    def provisioned(self, account: Any, users: Sequence[Any]) -> set[Any]:
        """The primary keys of those of ``users`` whom this account's SCIM has written: what
        a list of people needs to say who came through Microsoft Entra ID. One statement, also
        for what :meth:`managed` is asked about them in the same request.

        :param account: the account's row.
        :param users: entities of the user model.
        """
        return managed.provisioned(account, users)

    def managed_attributes(self, user: Any) -> frozenset[str]:
        """The names of the model's attributes that Microsoft Entra ID manages in ``user``: what
        a view of the host's own must not change, because the next cycle would write over it, or
        never notice.

        Those that the map writes; ``"*"`` and what can only be read are none. Empty for
        somebody whom SCIM has not written, for somebody new, and in an account without the
        licence, where Microsoft Entra is refused. One statement for each user and request.

        :param user: an entity of the user model; anything else is not managed.
        """
        return managed.attributes(user)

    def managed(self, user: Any, attribute: str) -> bool:
        """Whether one attribute is among :meth:`managed_attributes`; in templates
        ``scim_managed(user, attribute)``.

        :param attribute: the model's name of it, like ``"first_name"``, or the map's SCIM path,
            like ``"name.givenName"``.
        :raises ValueError: when it is neither; a misspelt name must not open a field.
        """
        return managed.is_managed(user, attribute)

    def link_user(self, user: Any, oid: str, *, by: str = "") -> None:
        """Say who a user is at Microsoft: single sign-on for somebody who is not provisioned.
        In place of whatever was known, in the caller's transaction; does not commit.

        :param user: an entity of the user model, flushed.
        :param oid: the person's object id in the directory of the account that is in force.
        :param by: who says so, for the log; without it, who is signed in.
        :raises ValueError: with a sentence: when ``oid`` is none, the account has no directory
            in force, provisioning names another object id, or another user is this person.
        """
        people.link(user, oid, by=by or forms.actor())

    def unlink_user(self, user: Any, *, by: str = "") -> None:
        """Forget who a user is at Microsoft, and end the sessions that they have. A user who
        is not linked stays as they are. In the caller's transaction; does not commit.

        Somebody whom provisioning gives their object id is found, and linked, again.

        :param user: an entity of the user model.
        :param by: who wants that, for the log; without it, who is signed in.
        """
        people.unlink(user, by=by or forms.actor())

    def members_changed(self, group: Any) -> None:
        """Note that a view of the host's own has changed who is in a group, so that the
        group's version changes and no client overwrites what it has not seen. In the caller's
        transaction; does not commit.

        :param group: an entity of the group model, flushed.
        """
        versions.raise_(self.db.session, self.records, self.group.key(group))

    def _warn(
        self, app: Flask, values: config.Config, unknown: Sequence[str], *, development: bool
    ) -> None:
        """Say at the start what lets the application start and is not right."""
        for key in unknown:
            app.logger.warning("%s is not a setting of flask_h5mag_scim; misspelt?", key)
        advice = sessions.strict_advice(app)
        if not development:
            advice += sessions.cookie_advice(app, values.public_url)
        for each in (*advice, *self.user.advice(), *self.group.advice()):
            app.logger.warning("%s", each)

    def _set_up(self, setup: BlueprintSetupState) -> None:
        app = cast(Flask, setup.app)
        if setup.options or setup.url_prefix or setup.subdomain or setup.url_defaults:
            raise config.ConfigurationError(
                "register_blueprint(scim.blueprint) takes no options: set "
                "H5MAG_SCIM_URL_PREFIX, H5MAG_SCIM_PAGE_URL_PREFIX, "
                "H5MAG_SCIM_SSO_URL_PREFIX and H5MAG_SCIM_OAUTH_URL_PREFIX in app.config instead."
            )
        development = bool(app.debug or app.testing)
        values, unknown = config.read(app.config, development=development)
        state = State(scim=self, config=values)
        app.extensions[EXTENSION] = state
        if not cli.is_beginning():
            self._warn(app, values, unknown, development=development)

        scim.register(app, state)
        sessions.register(app)
        pages.register(app, state)
        managed.register(app)
        sso.register(app, state)
        oauth.register(app, state)

        def exempt_from_csrf() -> None:
            csrf = app.extensions.get("csrf")
            if csrf is not None:
                csrf.exempt(scim.blueprint)
                csrf.exempt(oauth.blueprint)

        # Flask-WTF may have been set up before, and it may be set up after; then its check
        # comes after this as well.
        exempt_from_csrf()
        app.before_request(exempt_from_csrf)
        app.cli.add_command(cli.group)

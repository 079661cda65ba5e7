"""Why a sign-in ended, in words: for the person, and for the admin who tests.

A reason is a code of ours. Whatever Microsoft or a stranger wrote is never shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Message:
    """What a person reads whose sign-in ended."""

    title: str
    text: str
    can_try_again: bool = True
    #: What the button says that tries again.
    again: str = "Try again"


@dataclass(frozen=True)
class OtherWay:
    """How somebody can sign in whom Microsoft does not."""

    link: str
    until_then: str


PASSWORD = OtherWay(
    "Sign in with your H5mag password", "Until then, sign in with your H5mag password."
)
#: Where the account requires Microsoft.
BREAK_GLASS = OtherWay(
    "Sign in as a break-glass owner",
    "Until then, only the break-glass owners of your account can sign in.",
)

#: OAuth error codes that pass by themselves (RFC 6749 §4.1.2.1).
BUSY = frozenset({"temporarily_unavailable", "server_error"})

#: Reasons that a wrong clock on this server would cause.
CLOCK = frozenset({"clock", "not_yet", "expired", "issued"})

#: Everything else is 403.
STATUS: Mapping[str, int] = MappingProxyType(
    {
        "state": 400,
        "request": 400,
        "circles": 200,
        "discovery": 503,
        "metadata": 503,
        "keys": 503,
        "keys_unavailable": 503,
    }
)

#: Reasons that share a message.
MESSAGE_OF: Mapping[str, str] = MappingProxyType(
    {
        "cloud": "registration",
        "tenant_id": "discovery",
        "client": "registration",
        "own_client": "own_registration",
        "own_secret": "own_registration",
        "metadata": "discovery",
        "keys": "discovery",
        "keys_unavailable": "discovery",
        "inactive": "not_provisioned",
        "ambiguous": "not_provisioned",
        "not_by_scim": "not_provisioned",
        "mismatch": "not_provisioned",
        "timeout": "busy",
        "answer": "busy",
        "no_id_token": "busy",
        "code": "state",
        "tenant": "token",
        "issuer": "token",
        "version": "token",
        "audience": "token",
        "party": "token",
        "nonce": "token",
        "expired": "token",
        "issued": "token",
        "clock": "token",
        "not_yet": "token",
        "oid": "token",
        "claims": "token",
        "algorithm": "token",
        "key": "token",
        "signature": "token",
    }
)

MESSAGES: Mapping[str, Message] = MappingProxyType(
    {
        "unknown": Message(
            "This sign-in address is not in use",
            "Check the address, or sign in from the H5mag start page. The owners and admins of "
            "your account find the right Sign-on URL under Account, Provisioning & SSO.",
        ),
        "off": Message(
            "Your account does not sign in with Microsoft",
            "Sign in with your H5mag password. The owners and admins of your account can switch "
            "Microsoft on under Account, Provisioning & SSO.",
            can_try_again=False,
        ),
        "licence": Message(
            "Your account does not sign in with Microsoft",
            "Single sign-on is part of the Enterprise licence. Sign in with your H5mag password. "
            "For the licence, the owners of your account can ask {email}.",
            can_try_again=False,
        ),
        "registration": Message(
            "H5mag cannot reach Microsoft in its own name",
            "H5mag’s registration at Microsoft does not work. Only H5mag can repair that: "
            "please write to {email} and give the reference. {until_then}",
        ),
        "own_registration": Message(
            "Your organisation’s registration of H5mag does not work",
            "Microsoft and H5mag do not agree on its secret. Please give the reference to an owner "
            "or admin of your H5mag account, who can enter a new one under Account, Provisioning & "
            "SSO. {until_then}",
        ),
        "consent": Message(
            "You are back from Microsoft",
            "H5mag cannot see here whether consent was given. Press Test sign-in under Account, "
            "Provisioning & SSO to find out.",
            can_try_again=False,
        ),
        "discovery": Message(
            "Microsoft cannot be reached right now",
            "The sign-in service of your organisation’s directory did not answer as it "
            "should. Please try again in a minute. If it goes on, tell your IT administrator.",
        ),
        "busy": Message(
            "Microsoft did not finish the sign-in",
            "Its answer did not come or could not be used. Please try again in a minute. If it "
            "goes on, give the reference to your IT administrator.",
        ),
        "state": Message(
            "This sign-in is over",
            "It was used already, took longer than ten minutes, or was begun in another "
            "browser. Nothing has changed. Please start again.",
        ),
        "request": Message(
            "This sign-in address is not complete",
            "Something on the way from Microsoft to H5mag changed it. Nothing has changed here. "
            "Please start again.",
        ),
        "circles": Message(
            "Sign in with Microsoft",
            "You were sent to Microsoft three times within two minutes, so H5mag waits for you "
            "now. If signing in leads back here once more, give the reference to your IT "
            "administrator.",
            again="Sign in with Microsoft",
        ),
        "rate": Message(
            "Too many sign-ins at once",
            "More people than usual are signing in from your network. Please wait a minute and "
            "then reload this page.",
            can_try_again=False,
        ),
        "changed": Message(
            "The settings changed while you were signing in",
            "An owner or admin of your account has just changed how people sign in. Please start "
            "again.",
        ),
        "provider": Message(
            "Microsoft did not sign you in",
            "You can try again, also with another Microsoft account. If it goes on, give the "
            "reference to your IT administrator, who can see the reason in Microsoft Entra’s "
            "sign-in logs.",
        ),
        "token": Message(
            "This Microsoft sign-in is not valid here",
            "It does not belong to your organisation’s directory, to H5mag, or to this moment. "
            "You can try again with another Microsoft account. If it goes on, give the reference "
            "to your IT administrator.",
        ),
        "not_provisioned": Message(
            "Your account has not been set up yet",
            "Microsoft knows you, but there is no active H5mag user for you in this account. "
            "Your IT administrator can assign you to H5mag in Microsoft Entra; after that it can "
            "take 40 minutes until you can sign in.",
        ),
        "guest": Message(
            "Only your organisation’s own people can sign in here",
            "Your account does not let guests of its directory in, and Microsoft did not say that "
            "you are none. You can try again with another Microsoft account. If you are no guest, "
            "give the reference to your IT administrator.",
        ),
        "test_session": Message(
            "The test was not finished",
            "It belongs to the owner or admin who began it, in the same browser. Sign in to "
            "H5mag and press Test sign-in again.",
            can_try_again=False,
        ),
        "nothing_to_test": Message(
            "There is nothing to test yet",
            "Choose Microsoft 365 / Microsoft Entra ID under Account, Provisioning & SSO and "
            "press Save first.",
            can_try_again=False,
        ),
    }
)

#: What a test tells an admin, by reason.
HINTS: Mapping[str, str] = MappingProxyType(
    {
        "licence": "Single sign-on is part of the Enterprise licence, which this account does "
        "not have.",
        "registration": "H5mag’s own registration at Microsoft is missing. Only H5mag can set "
        "it up.",
        "cloud": "H5mag no longer knows the Microsoft cloud of these settings. Choose another "
        "one under More settings, or ask H5mag.",
        "tenant_id": "The Directory (tenant) ID of these settings is not that of an organisation. "
        "Correct it.",
        "client": "Microsoft does not accept the secret of H5mag’s registration. Only H5mag can "
        "renew it.",
        "own_client": "Microsoft does not accept your app registration. Enter the Application "
        "(client) ID and the Value of its secret again, and make sure that the secret has not "
        "expired.",
        "own_secret": "The stored secret of your app registration cannot be read any more. Enter "
        "it again.",
        "discovery": "No directory answered at this address. Check the Directory (tenant) ID "
        "and the Microsoft cloud; if they are right, Microsoft may be down: try again later.",
        "metadata": "The directory describes itself in a way that H5mag does not trust. Check "
        "the Directory (tenant) ID and the Microsoft cloud.",
        "keys_unavailable": "Microsoft’s signing keys could not be loaded. Try again in a minute.",
        "keys": "Microsoft’s list of signing keys has none that may sign for this directory. An "
        "application with signing keys of its own is not supported.",
        "changed": "Somebody saved other settings during the test. Test those.",
        "request": "Microsoft’s answer arrived incomplete. Try again; if it goes on, something "
        "between Microsoft and H5mag changes addresses.",
        "provider": "Microsoft ended the sign-in. Its sign-in logs, in Microsoft Entra under "
        "Monitoring, say why.",
        "busy": "Microsoft is busy. Try again in a minute.",
        "timeout": "Microsoft did not answer in time. Try again in a minute.",
        "answer": "Microsoft’s answer could not be read. Try again in a minute.",
        "no_id_token": "Microsoft’s answer had no ID token. Try again; if it goes on, tell H5mag.",
        "code": "Microsoft no longer accepts this sign-in: it was used or took too long. Test "
        "again.",
        "tenant": "You signed in to another directory. Choose an account of this directory, or "
        "correct the Directory (tenant) ID.",
        "issuer": "The sign-in came from another directory or cloud. Correct the Directory "
        "(tenant) ID or the Microsoft cloud.",
        "version": "Microsoft sent a token of version 1. The registration must ask for version 2: "
        "tell H5mag.",
        "audience": "The token was made for another application. Tell H5mag.",
        "party": "The token was made for another application. Tell H5mag.",
        "nonce": "The token belongs to another sign-in. Test again.",
        "oid": "The token does not say who signed in: the object id is missing. Make sure that "
        "the application may use the profile permission.",
        "guest": "These settings refuse guests of the directory, and Microsoft did not say that "
        "this person is none. For a member, add the optional claim acct to the ID token: in "
        "Microsoft Entra under App registrations, Token configuration, Add optional claim; with "
        "H5mag’s own registration, ask H5mag. Or let guests in.",
        "expired": "The token is too old. If it goes on, a clock is wrong: tell H5mag.",
        "issued": "The token is too old. If it goes on, a clock is wrong: tell H5mag.",
        "clock": "The token comes from the future: a clock is wrong. Tell H5mag.",
        "not_yet": "The token comes from the future: a clock is wrong. Tell H5mag.",
        "claims": "The token does not say what it must. Tell H5mag.",
        "algorithm": "The token is signed in a way that H5mag does not accept.",
        "key": "The token is signed with a key that Microsoft does not list. Test again in a "
        "minute: Microsoft may have changed its keys just now.",
        "signature": "The token’s signature is not right.",
    }
)

#: What an AADSTS number means for an admin. Microsoft changes them: they explain, they never
#: decide.
_AADSTS_HINTS: tuple[tuple[str, str], ...] = (
    (
        "50011 900971 70004",
        "This redirect URI is not registered for the application: {redirect_uri}",
    ),
    (
        "700016 70001",
        "The application is not in this directory, or is disabled there. Check that the Directory "
        "(tenant) ID and the Application (client) ID are not swapped; if H5mag’s own registration "
        "is used, an administrator of the directory adds it with Grant admin consent.",
    ),
    (
        "90002 90038",
        "There is no such directory in this cloud. Check the Directory (tenant) ID and the "
        "Microsoft cloud.",
    ),
    ("7000215 70002", "The secret of H5mag’s registration is wrong. Only H5mag can renew it."),
    ("7000222", "The secret of H5mag’s registration has expired. Only H5mag can renew it."),
    ("700025", "The registration’s platform must be Web, not a public client. Tell H5mag."),
    ("50058", "The person has to sign in at Microsoft first. Test again."),
    (
        "50194",
        "The application serves one directory only, and not this one. Check the Directory (tenant) "
        "ID.",
    ),
    ("700027 50012", "Microsoft does not accept H5mag’s certificate. Only H5mag can renew it."),
    (
        "50105",
        "This person is not assigned to the application. Assign them in Microsoft Entra under "
        "Enterprise applications, Users and groups.",
    ),
    (
        "50020 50034 51004 16000 90072",
        "This Microsoft account is not in the directory. Choose another account, or invite it as "
        "a guest.",
    ),
    (
        "65001 90094 90008",
        "Consent is missing. An administrator of the directory gives it with Grant admin consent "
        "on the settings page, or in Microsoft Entra under Enterprise applications, Permissions.",
    ),
    ("65004", "The person declined. Try again and accept."),
    (
        "53000 53001 53003 530032 50131 50158",
        "A Conditional Access policy of your directory refused the sign-in. Your IT department "
        "can change that; there is nothing to do here.",
    ),
    (
        "50053 50055 50057 50126 50144",
        "Microsoft refused this person: locked, disabled, or a wrong or expired password. Your IT "
        "department can help.",
    ),
    ("50196", "Microsoft saw the same sign-in too often in a short time. Wait a few minutes."),
    ("54005 70008 501481 700005", "This sign-in was used already or took too long. Test again."),
    ("90033 90006 90024 90055", "Microsoft is busy. Try again in a minute."),
)
AADSTS_HINTS: Mapping[str, str] = MappingProxyType(
    {number: hint for numbers, hint in _AADSTS_HINTS for number in numbers.split()}
)

#: Those that say something else where the registration is the account's own.
_OWN_AADSTS_HINTS: tuple[tuple[str, str], ...] = (
    (
        "7000215 70002",
        "The secret of your app registration is wrong. Enter its Value, not its Secret ID; if the "
        "Value is gone, make a new secret in Microsoft Entra.",
    ),
    (
        "7000222",
        "The secret of your app registration has expired. Make a new one in Microsoft Entra under "
        "Certificates & secrets, and enter its Value and its end here.",
    ),
    (
        "700025",
        "Your app registration is a public client. In Microsoft Entra, under Authentication, its "
        "platform must be Web.",
    ),
    (
        "700016 70001",
        "Your app registration is not in this directory, or is disabled there. Check that the "
        "Directory (tenant) ID and the Application (client) ID are not swapped.",
    ),
    (
        "700027 50012",
        "Microsoft wants a certificate of your app registration. H5mag sends its secret: allow "
        "client secrets there.",
    ),
)
OWN_AADSTS_HINTS: Mapping[str, str] = MappingProxyType(
    {number: hint for numbers, hint in _OWN_AADSTS_HINTS for number in numbers.split()}
)


def hint(reason: str, number: str | None, *, is_own: bool) -> str:
    """What an admin reads whose test failed. It may have ``{redirect_uri}`` in it.

    :param number: Microsoft's, if there was one.
    :param is_own: whether the account has its own registration.
    """
    known = {**AADSTS_HINTS, **OWN_AADSTS_HINTS} if is_own else AADSTS_HINTS
    return known.get(number or "") or HINTS[reason]


#: Why a test found nobody where linking the admin who made it may help.
LINKABLE = frozenset({"not_provisioned", "no_upn", "not_by_scim", "mismatch"})

#: Why a test that passed found nobody here.
NOBODY: Mapping[str, str] = MappingProxyType(
    {
        "not_provisioned": "Nobody in this account has this object id as externalId yet. Assign "
        "the person to the application, map objectId to externalId, and start provisioning.",
        "not_by_scim": "A user of this account has this object id, but Microsoft Entra has not "
        "provisioned them yet. Start provisioning, and the two are joined.",
        "mismatch": "A user of this account has this object id, and another one as well: what "
        "provisioning says and the link that is kept here disagree. Make sure that it is the same "
        "person. Then ask H5mag to end the link; the next sign-in makes a new one.",
        "no_upn": "Nobody in this account has this object id as externalId, and the token has no "
        "upn claim by which somebody could be found by user name. Map objectId to externalId, or "
        "add the optional claim upn to the ID token: in Microsoft Entra under App registrations, "
        "Token configuration; with H5mag’s own registration, ask H5mag.",
        "inactive": "The user with this object id is deactivated.",
        "ambiguous": "Several users of this account have this object id as externalId. Correct "
        "the mapping: it must be unique.",
    }
)

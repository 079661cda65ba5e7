"""Every text of the page "Provisioning & SSO", in one place, so that Dutch can follow.

Words of Microsoft's tutorial stay exactly as it has them.
"""

# ruff: noqa: E501, a text is one line, whatever its length.

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Any

from markupsafe import Markup, escape

TEXTS: Mapping[str, str] = MappingProxyType(
    {
        # Refusals
        "refused.csrf": "This form is out of date, so nothing was changed. Go back, reload the page and try again.",
        "refused.role": "Provisioning & SSO is for the owners and admins of your account. Ask one of them.",
        "refused.licence": "Provisioning and single sign-on are part of the Enterprise licence, which this account does not have. Nothing was changed. Ask {email}.",
        # Frame
        "title": "Provisioning & SSO",
        "title.error": "Error: {title}",
        "breadcrumb": "Breadcrumb",
        "account": "Account",
        "copy": "Copy",
        "copied": "{what} copied",
        "copied.short": "Copied",
        "hide": "Hide",
        "show": "Show",
        "save": "Save",
        "save.draft": "Makes the token active and stores the settings above.",
        "save.settings": "Stores the settings above.",
        "discard": "Discard",
        "never": "Never",
        "yes": "Yes",
        "no": "No",
        "at": "{time} UTC",
        # Status
        "status.none": "Not set up",
        "status.none.why": "Microsoft Entra is not connected to this account.",
        "status.draft": "Token not saved",
        "status.draft.why": "Press Save so that Microsoft Entra can use the token.",
        "status.waiting": "Waiting for Microsoft Entra",
        "status.waiting.why": "Everything is ready here; no request has come yet.",
        "status.connected": "Connected",
        "status.connected.why": "Last request {ago}.",
        "status.expiring": "Token expires {when}",
        "status.expiring.why": "Generate a new token before that; two can be active at once.",
        "status.expired": "Token expired",
        "status.expired.why": "Microsoft Entra is refused until it has a new token.",
        # Notes above everything
        "licence.title": "Provisioning & SSO takes an Enterprise licence",
        "licence": "You can read this page; its buttons work once the account has the licence. Ask",
        "signed_in_again": "Thank you, you are signed in again. Please repeat your last step.",
        "expiring": "The token “{name}” ({fingerprint}) expires {when}. Generate a new one, save it and paste it into Microsoft Entra; then revoke the old one.",
        "expired": "The token “{name}” ({fingerprint}) has expired and Microsoft Entra is refused. Generate a new token, save it and paste it into Microsoft Entra.",
        # What was done
        "done.token": "The token is saved and active.",
        "done.sso-pending": "Single sign-on is saved. One step left: Test sign-in.",
        "done.sso-saved": "Single sign-on is saved.",
        "done.sso-domain": "{domain} belongs to the directory {tenant}, which is stored in its place.",
        "done.sso-off": "Single sign-on is off. Everyone signs in with their H5mag password.",
        "done.signed-out-everywhere": "Everybody is signed out, but for you here.",
        "done.nothing": "Saved. Nothing had changed.",
        "done.break-glass": "The break-glass owners are saved.",
        "done.trial-kept": "Microsoft stays required.",
        "done.trial-over": "There is no trial to keep: it has ended, or was kept already.",
        "done.discarded": "The token was discarded.",
        "done.revoked": "The token was revoked.",
        "failed.sso": "The single sign-on settings are not saved: see the message beside the field.",
        "failed.token": "The token is not saved.",
        # Provisioning
        "provisioning": "Provisioning",
        "provisioning.lead": "Microsoft Entra creates, updates and deactivates the people and teams of this account.",
        "generate": "Generate Token",
        "generate.again": "Generate again",
        "generate.lead": "Generate a token, then paste it and the Provisioning URL into Microsoft Entra.",
        "generate.rotate": "To replace the token in use: generate a new one, save it, paste it into Microsoft Entra, then revoke the old one.",
        "generate.sign_in": "You signed in more than ten minutes ago: you will be asked to sign in again first.",
        "generate.full": "Two tokens are active, and there cannot be a third. Revoke the one that Microsoft Entra no longer uses, then generate a new one.",
        "url": "Provisioning URL",
        "url.hint": "Paste it into “Tenant URL” in Microsoft Entra.",
        "token": "API Token",
        "token.hint": "Paste it into “Secret Token” in Microsoft Entra.",
        "token.once": "Shown only once. Not active until you press Save.",
        "oauth": "Entra asks for OAuth instead?",
        "oauth.secret": "With OAuth, the “Client Secret” in Microsoft Entra is the API Token.",
        "oauth.endpoint": "Token Endpoint",
        "oauth.endpoint.hint": "Paste it into “Token Endpoint” in Microsoft Entra.",
        "oauth.client_id": "Client Identifier",
        "oauth.client_id.hint": "Paste it into “Client Identifier” in Microsoft Entra. It is no secret.",
        "draft.title": "The token {fingerprint} is not saved",
        "draft": "{who} generated it at {time}, and its text was shown once. If you have copied it, press Save before {until}. If not, generate again.",
        "draft.old": "{who} generated it at {time}. It was not saved within the hour, so it cannot be saved any more. Generate again.",
        "draft.gone": "The token on your page no longer exists: it was discarded, or a newer one was generated. Nothing was saved. Generate again.",
        "name": "Token name",
        "name.default": "Microsoft Entra ID",
        "name.hint": "To tell your tokens apart.",
        "expires": "Expires",
        "expires.hint": "You are warned here 30 days before.",
        "expires.never.option": "Never (not advised)",
        "expires.never.warning": "A token without an end keeps working if it is ever copied. Choose this only if you replace it yourself, regularly.",
        # Single sign-on
        "sso": "Single sign-on",
        "sso.lead": "People of this account sign in on the Microsoft login page. It finds them by the object ID that provisioning brings.",
        "sso.provider": "SSO Provider",
        "sso.none": "None (H5mag passwords)",
        "sso.none.hint": "Everyone signs in with an e-mail address and an H5mag password.",
        "sso.microsoft": "Microsoft 365 / Microsoft Entra ID",
        "sso.microsoft.hint": "Lets people sign in on the Microsoft login page.",
        "sso.directory": "Directory (tenant) ID",
        "sso.directory.hint": "In the Microsoft Entra admin centre: Entra ID, Overview, Tenant ID. A domain of your directory, like contoso.com, will do as well.",
        "sso.own": "Use our own app registration",
        "sso.own.lead": "Leave this empty to sign in through H5mag’s registration. For one of your own, add the Redirect URI below to it (platform Web).",
        "sso.own.needed": "This H5mag has no registration at Microsoft, so your directory needs one of its own: in Microsoft Entra, under App registrations, with the Redirect URI below (platform Web).",
        "sso.client_id": "Application (client) ID",
        "sso.client_id.hint": "In Microsoft Entra: App registrations, the application, Overview.",
        "sso.client_secret": "Client secret",
        "sso.client_secret.hint": "The Value of the secret, not its Secret ID. It is stored encrypted and never shown again.",
        "sso.client_secret.stored": "A secret is stored. Leave this empty to keep it, or enter the Value of a new one; the stored one serves until a test has passed with the new one.",
        "sso.client_secret.again": "Enter the secret again: it is not shown here, and it is not stored yet.",
        "sso.secret_expires": "Secret expires on",
        "sso.secret_expires.hint": "Microsoft Entra shows the day beside the secret. You are warned 30, 14 and 3 days before.",
        "sso.consent": "Grant admin consent",
        "sso.consent.hint": "For an administrator of the directory, if Microsoft asks people for an approval. Opens Microsoft in a new tab.",
        "secret.expiring.title": "The secret of your app registration expires {when}",
        "secret.expiring": "Make a new one in Microsoft Entra under Certificates & secrets, enter it here, press Save and then Test sign-in. The old one serves until then; after its end nobody can sign in with Microsoft.",
        "secret.expired.title": "The secret of your app registration has expired",
        "secret.expired": "Nobody can sign in with Microsoft. Make a new secret in Microsoft Entra under Certificates & secrets, enter it here, press Save and then Test sign-in.",
        "secret.unreadable.title": "The secret of your app registration cannot be read any more",
        "secret.unreadable": "Nobody can sign in with Microsoft. Enter the Value of the secret again, or of a new one, press Save and then Test sign-in.",
        "sso.more": "More settings",
        "sso.cloud": "Microsoft cloud",
        "sso.cloud.hint": "Where your directory lives. Leave it as it is if you are not sure.",
        "cloud.global": "Microsoft (worldwide)",
        "cloud.us": "Microsoft US Government",
        "cloud.china": "Microsoft operated by 21Vianet",
        "sso.redirect_uri": "Redirect URI",
        "sso.redirect_uri.hint": "Where Microsoft sends people back; Microsoft also calls it “Reply URL”.",
        "sso.sign_on_url": "Sign-on URL",
        "sso.sign_on_url.hint": "Paste it into “Sign-on URL” in Microsoft Entra, so that the tile in My Apps works.",
        "sso.test": "Test sign-in",
        "sso.test.hint": "Opens a new tab. Tests the saved settings and signs nobody in.",
        "sso.test.later": "Press Save to store these settings. Then one step is left: Test sign-in. They begin when the test has passed.",
        "sso.pending.title": "One step left: Test sign-in",
        "pending.off": "These settings can be tested, and change nothing for people.",
        "pending.button": "The button appears when the test has passed.",
        "pending.redirect": "The redirect begins when the test has passed.",
        "pending.require": "Microsoft is required, on trial at first, when you have passed the test as yourself: with the Microsoft account of the H5mag user you are now.",
        "sso.pending": "Until then everyone signs in with their H5mag password.",
        "sso.pending.beside": "Until then people go on signing in with the directory {tenant}.",
        "sso.in_force.title": "In force",
        "in_force.button": "People may sign in with Microsoft, in the directory {tenant}, or with their H5mag password.",
        "in_force.redirect": "People are redirected to the Microsoft login page of the directory {tenant}.",
        "in_force.require": "People sign in on the Microsoft login page of the directory {tenant}, and in no other way.",
        "sso.tested": "The test passed on {time}.",
        "sso.people": "Who may sign in",
        "sso.people.lacking": "Who may sign in ({count} cannot yet)",
        "sso.people.without": "{count} of {all} provisioned users have an externalId that is not an object ID.",
        "sso.people.unreachable": "{count} of them cannot sign in with Microsoft.",
        "sso.people.mapping": "In Microsoft Entra open Provisioning, Mappings, and change this row: {mapping}. Microsoft’s own default is {usual}. Then restart provisioning, so that everybody is written anew.",
        "sso.people.fine": "All provisioned users ({all}) have an object ID as externalId.",
        "sso.people.nobody": "Nobody is provisioned yet. Until then only people who are linked can sign in: Test sign-in offers to link your own account.",
        "sso.guests": "Refuse guests of the directory",
        "sso.guests.hint": "Needs the optional claim acct in the ID token; without it nobody can sign in, and Test sign-in says so.",
        "sso.by_name": "Find people once by user name",
        "sso.by_name.hint": "For people whose externalId is not an object ID: the first sign-in compares the user name with the optional claim upn, and then keeps the object ID. User names are given to others when somebody leaves: switch it off again when all have signed in.",
        # How people sign in
        "mode": "How people sign in",
        "mode.off": "Off",
        "mode.off.hint": "Everyone signs in with an H5mag password. The directory can be tested.",
        "mode.button": "Show a Microsoft button",
        "mode.button.hint": "People choose between Microsoft and their H5mag password.",
        "mode.redirect": "Redirect to Microsoft",
        "mode.redirect.hint": "People go to Microsoft as soon as they have typed their name. The H5mag password stays a second way in.",
        "mode.require": "Require Microsoft",
        "mode.require.hint": "H5mag passwords open this account no more, but for its break-glass owners. Begins with a trial of 30 minutes.",
        "mode.unknown": "Choose one of the options.",
        "break_glass": "Break-glass owners",
        "break_glass.hint": "One to three user names, one a line. They keep the password, with a second factor, for the day on which Microsoft does not work. Every use is logged. Microsoft Entra must not manage them.",
        "break_glass.none": "Name at least one break-glass owner: somebody must get in when Microsoft does not work.",
        "break_glass.many": "Name {count} break-glass owners at most: each is a way around Microsoft.",
        "break_glass.unknown": "There is no user called “{name}” in this account.",
        "break_glass.inactive": "“{name}” is not active.",
        "break_glass.role": "“{name}” is neither owner nor admin of this account.",
        "break_glass.provisioned": "“{name}” is managed by Microsoft Entra, which could deactivate them. Name somebody who is not.",
        "require.second_factor": "Microsoft cannot be required yet: this H5mag has no second factor for break-glass owners. Ask {email}.",
        "require.unreachable": "Microsoft cannot be required yet: {count} active users that Microsoft Entra manages have no object ID, so that they could not sign in. Map objectId to externalId, and wait for the next cycle.",
        "require.unreachable.one": "Microsoft cannot be required yet: an active user whom Microsoft Entra manages has no object ID, so that they could not sign in. Map objectId to externalId, and wait for the next cycle.",
        "require.secret": "Microsoft can be required when the secret’s expiry date is entered and more than 7 days away.",
        "require.own": "Test sign-in with your own Microsoft account: it must lead to the H5mag user you are now.",
        "trial.title": "On trial for {minutes} more min",
        "trial": "Requiring Microsoft ends by itself at {time}, unless an admin who came in through Microsoft keeps it.",
        "trial.after.button": "Then people choose again between Microsoft and their H5mag password.",
        "trial.after.redirect": "Then people are redirected to Microsoft as before, and the H5mag password is a second way in.",
        "trial.keep": "Keep",
        "trial.keep.refused": "Keep is for an admin who came in through Microsoft, which shows that it works. Sign in with Microsoft, then press it again.",
        "trial.come": "You came in with a password. To keep it,",
        "trial.come.link": "sign in with Microsoft",
        # The result of Test sign-in
        "test.passed": "Test sign-in passed",
        "test.failed": "Test sign-in failed",
        "test.vouched": "Microsoft vouched for a person of this account’s directory.",
        "began.off": "These settings are in force from now on: everyone signs in with an H5mag password.",
        "began.button": "These settings are in force from now on: people can sign in with Microsoft.",
        "began.redirect": "These settings are in force from now on: people are redirected to Microsoft.",
        "began.require": "These settings are in force from now on, on trial: people sign in with Microsoft only.",
        "test.pending": "Even so, these settings are not in force yet.",
        "test.stays": "These settings were in force before and stay so.",
        "test.oid": "Object ID",
        "test.name": "Microsoft user name",
        "test.user": "H5mag user",
        "test.nobody": "Nobody yet",
        "test.unnamed": "Found, without a user name",
        "test.until": "Until then this person cannot sign in with Microsoft.",
        "test.number": "Microsoft’s error number",
        "test.reference": "Reference",
        "test.no_one": "Nobody was signed in by this test.",
        "test.nothing": "Nothing was changed. Correct the settings or try again with Test sign-in.",
        "test.back": "Back to the settings",
        "test.linked": "Your account {me} is linked: you can sign in with this Microsoft account.",
        "test.is_you": "Is this you?",
        "test.link.lead": "Link your account {me} to this person at Microsoft, and you can sign in without being provisioned.",
        "test.link": "Link my account",
        "test.link.obstacle": "Your own account {me} cannot be linked to this person. {obstacle}",
        "test.link.sign_in": "You signed in more than ten minutes ago: you will be asked to sign in again first.",
        # Mistakes in the single sign-on form
        "cloud.unknown": "Choose one of the clouds in the list.",
        "provider.unknown": "Choose one of the options.",
        "sso.changed": "Somebody else changed these settings after you opened the page. They are shown as they are now; choose again and save.",
        "domain.unknown": "Microsoft knows no directory with the domain {domain} in this cloud. Check how it is written and, under More settings, the Microsoft cloud, or enter the Directory (tenant) ID.",
        "domain.unreachable": "Microsoft could not be asked whose domain {domain} is. Try again in a minute, or enter the Directory (tenant) ID.",
        "domain.elsewhere": "The directory of {domain} is not in this cloud. Choose another one under More settings, or enter the Directory (tenant) ID.",
        "domain.many": "{domain} leads to no organisation’s own directory, but to one that is everybody’s: only people of your own may sign in here. Enter your Directory (tenant) ID.",
        "domain.unsupported": "This cloud knows no domains. Enter the Directory (tenant) ID.",
        "client_id.missing": "Enter the Application (client) ID that this secret belongs to.",
        "client_id.needed": "Enter the Application (client) ID of your app registration: this H5mag has none of its own.",
        "client_id.directory": "This is the Directory (tenant) ID. The Application (client) ID stands beside it in the Overview of the app registration.",
        "client_secret.needed": "Enter the Value of this registration’s client secret: none is stored for this application in this cloud that could be read.",
        "secret_expires.unknown": "This is not a day. Enter it like 2027-12-31, or leave it empty.",
        "secret_expires.past": "A secret with this end has expired already. Make a new one in Microsoft Entra and enter its Value and its end.",
        # Sessions
        "sessions": "Sessions",
        "session_hours": "Sign in again after",
        "session_hours.hint": "A session that came from Microsoft ends after this time, also while somebody is at work in it. What Microsoft has decided meanwhile counts from then on.",
        "session_hours.unknown": "Choose one of the times in the list.",
        "sessions.end": "Sign out everywhere",
        "sessions.end.hint": "Ends every session of this account’s people at once, on all their devices, but for yours here. They can sign in again.",
        # Signing out
        "signed_out": "You are signed out of H5mag",
        "signed_out.microsoft": "Microsoft has not been asked to sign you out. In this browser you may still be signed in there, and in other applications that use the same account.",
        "signed_out.here": "This page does not sign you in again by itself.",
        "signed_out.again": "Sign in again",
        "signed_out.also": "Also sign out of Microsoft",
        # Tokens
        "tokens": "Tokens",
        "tokens.former": "Former tokens ({count})",
        "tokens.name": "Name",
        "tokens.fingerprint": "Fingerprint",
        "tokens.created": "Created",
        "tokens.by": "by {who}",
        "tokens.expires": "Expires",
        "tokens.used": "Last used",
        "tokens.used.from": "from {address}",
        "tokens.unused": "Not yet",
        "tokens.state": "State",
        "tokens.action": "Action",
        "tokens.active": "Active",
        "tokens.retiring": "Retiring",
        "tokens.expired": "Expired",
        "tokens.revoked": "Revoked",
        "tokens.revoke": "Revoke",
        "tokens.revoke.which": "token {name}, {fingerprint}",
        "rotation.safe": "Microsoft Entra has moved to the new token {new}. The retiring one can be revoked.",
        "rotation.soon": "Microsoft Entra has used the new token {new}, and the retiring one within the last hour as well. Wait for the next cycle, about 40 minutes, before you revoke it.",
        "rotation.wait": "Microsoft Entra has not used the new token {new} yet: paste it there before you revoke the retiring one.",
        # Revoke
        "revoke.title": "Revoke the token “{name}”?",
        "revoke.lead": "A revoked token never works again. Nothing happens to people and teams that are already here.",
        "revoke.other": "The other active token goes on working. Make sure that Microsoft Entra uses that one: {name} ({fingerprint}).",
        "revoke.only": "This is the only token in use. With the next request Microsoft Entra is refused: provisioning stops, its job fails and goes into quarantine. Nobody is created, changed or deactivated until Microsoft Entra has a new token.",
        "revoke.type": "Type the fingerprint {fingerprint} to confirm",
        "revoke.wrong": "This is not the fingerprint of the token. It is {fingerprint}.",
        "revoke.keep": "Keep it",
        "revoke.confirm": "Revoke token",
        # Attributes
        "attributes": "Attributes",
        "attributes.lead": "What this account keeps of each person. These are the target attributes in Microsoft Entra’s mapping.",
        "attributes.matching": "Match people by {paths}: what is both supported for filtering and unique.",
        "attributes.external_id": "Map objectId to externalId: Microsoft Entra’s own default is mailNickname, with which nobody can sign in through Microsoft.",
        "attributes.roles": "For app roles, open App registrations, H5mag, App roles in the Microsoft Entra admin centre (in the Manifest they are called appRoles). The Value of each role must be one of these: {values}.",
        "attributes.roles.mapping": "Map the expression {expression} to {path}, and choose the scope “Sync only assigned users and groups”.",
        "attributes.roles.owner": "Owners are made in H5mag: provisioning makes nobody an owner, and keeps the last one.",
        "attributes.name": "Attribute",
        "attributes.type": "Type",
        "attributes.filterable": "Supported for filtering",
        "attributes.unique": "Unique",
        "attributes.required": "Required",
        # Activity
        "activity": "Activity",
        "activity.lead": "The last {count} things that happened to this account, newest first.",
        "activity.empty": "Nothing has happened yet.",
        "activity.time": "Time",
        "activity.what": "What happened",
        "activity.result": "Result",
        "activity.by": "By",
        "activity.done": "Done",
        "activity.refused": "Refused",
        "activity.paths": "Attributes: {paths}",
        "activity.ignored": "Not kept here: {paths}",
        "event.user.created": "Created a user",
        "event.user.adopted": "Took over a user who was here before",
        "event.user.updated": "Updated a user",
        "event.user.deactivated": "Deactivated a user",
        "event.user.reactivated": "Reactivated a user",
        "event.user.deleted": "Deleted a user",
        "event.group.created": "Created a group",
        "event.group.updated": "Updated a group",
        "event.group.deleted": "Deleted a group",
        "event.request.refused": "Refused a request",
        "refused.GET": "Refused to read {what}",
        "refused.POST": "Refused to create {what}",
        "refused.PUT": "Refused to update {what}",
        "refused.PATCH": "Refused to update {what}",
        "refused.DELETE": "Refused to delete {what}",
        "kind.User": "a user",
        "kind.Group": "a group",
        "kind.other": "a user or group",
        "event.token.generated": "Generated a token",
        "event.token.saved": "Saved a token",
        "event.token.discarded": "Discarded a token that was not saved",
        "event.token.revoked": "Revoked a token",
        "event.oauth.token_issued": "Issued an access token",
        "event.oauth.refused": "Refused an access token",
        "event.oauth.trusted": "Trusted a workload identity",
        "event.oauth.trust_revoked": "Revoked the trust in a workload identity",
        "event.sso.saved": "Saved the single sign-on settings",
        "event.sso.in_force": "Put single sign-on in force",
        "event.sso.off": "Switched single sign-on off",
        "event.sso.tested": "Tested single sign-on",
        "event.sso.signed_in": "A user signed in with Microsoft",
        "event.sessions.ended": "Signed everybody out",
        "event.sso.refused": "Refused a sign-in with Microsoft",
        "event.sso.trial_began": "Began to require Microsoft, on trial",
        "event.sso.trial_kept": "Kept requiring Microsoft",
        "event.sso.trial_ended": "The trial of requiring Microsoft ended",
        "event.sso.break_glass_named": "Named a break-glass owner",
        "event.sso.break_glass_removed": "Removed a break-glass owner",
        "event.sso.break_glass": "A break-glass owner signed in with a password",
        "event.sso.password_refused": "Refused a password, because Microsoft is required",
        "event.sso.secret_expiring": "Warned of the end of the app registration’s secret",
        "event.sso.reencrypted": "Encrypted the app registration’s secret with a new key",
        "event.sso.linked": "Linked a user to a person at Microsoft",
        "event.sso.unlinked": "Ended a user’s link to a person at Microsoft",
        # Spans of time
        "ago.now": "just now",
        "ago.minutes": "{n} min ago",
        "ago.hours": "{n} h ago",
        "ago.day": "1 day ago",
        "ago.days": "{n} days ago",
        "in.today": "in less than a day",
        "in.day": "in 1 day",
        "in.days": "in {n} days",
        "span.hour": "1 hour",
        "span.hours": "{n} hours",
        "span.day": "1 day",
        "span.days": "{n} days",
        "span.year": "1 year",
        "span.years": "{n} years",
    }
)


#: Something that was done: a code of the catalogue (``done.…``), perhaps with values.
Done = str | tuple[str, dict[str, str]]


def say(key: str, **values: Any) -> str:
    """The text of ``key``, with ``values`` in its brackets."""
    text = TEXTS[key]
    return text.format(**values) if values else text


def say_html(key: str, **values: Any) -> Markup:
    """The same for templates, where a value may be markup."""
    return escape(TEXTS[key]).format(**values)


def say_done(done: Done) -> Markup:
    """What was done, in a sentence."""
    code, values = (done, {}) if isinstance(done, str) else done
    return say_html(f"done.{code}", **values)


def ago(past: timedelta) -> str:
    """How long something is past, roughly."""
    minutes = int(past.total_seconds() // 60)
    if minutes < 1:
        return say("ago.now")
    if minutes < 60:
        return say("ago.minutes", n=minutes)
    if minutes < 48 * 60:
        return say("ago.hours", n=minutes // 60)
    return say("ago.days", n=minutes // (24 * 60))


def ahead(future: timedelta) -> str:
    """How far something is ahead, in whole days."""
    if future.days < 1:
        return say("in.today")
    return say("in.day") if future.days == 1 else say("in.days", n=future.days)


def span(length: timedelta) -> str:
    """A length of time, in the largest unit that fits."""
    years, rest = divmod(length.days, 365)
    if years and not rest:
        return say("span.year") if years == 1 else say("span.years", n=years)
    if length.days:
        return say("span.day") if length.days == 1 else say("span.days", n=length.days)
    hours = max(1, length.seconds // 3600)
    return say("span.hour") if hours == 1 else say("span.hours", n=hours)

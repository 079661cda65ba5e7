"""What the commands of the shell explain."""

from __future__ import annotations

TEXTS: dict[str, str] = {
    "shell.no_account": "There is no account {name!r}.",
    "shell.not_an_account": "find_account of H5magSCIM gave back {found} for {name!r}, and not an "
    "{account} or None.",
    "shell.several_accounts": "Several accounts are called {name!r}: name one by what only it has.",
    "shell.no_text": "{value!r} is no text in the encoding of this terminal.",
    "shell.no_cloud": "There is no cloud {name!r}; known are {known}.",
    "shell.option": "{option} {value!r}: {problem}",
    "shell.column.fingerprint": "FINGERPRINT",
    "shell.column.name": "NAME",
    "shell.column.state": "STATE",
    "shell.column.created": "CREATED",
    "shell.column.expires": "EXPIRES",
    "shell.column.used": "LAST USED",
    "shell.column.tenant": "TENANT",
    "shell.column.subject": "SUBJECT",
    "shell.column.audience": "AUDIENCE",
    "shell.column.user": "USER NAME",
    "shell.column.why": "WHY",
    "shell.never": "never",
    "shell.revoked": "Revoked {name}.",
    "shell.token.none": "No token is saved for this account.",
    "shell.token.full": "Two tokens are active already. Revoke the one that Microsoft Entra no "
    "longer uses with `flask scim token revoke`, then create this one.",
    "shell.token.unknown": "No active token has the fingerprint {fingerprint!r}.",
    "shell.oauth.none": "This account trusts no workload identity.",
    "shell.oauth.unknown": "No trust in force has the fingerprint {fingerprint!r}.",
    "shell.oauth.subject": "this is not an object id, 32 digits and letters in five groups.",
    "shell.oauth.taken": "This workload identity is trusted already, by this account or another: "
    "it provisions one account. Revoke that trust first.",
    "shell.oauth.trusted": "Trusted: {what}.",
    "shell.example": "Example",
    "shell.exit_codes": "Exit codes",
    "shell.exit_0": "It is done.",
    "shell.exit_1": "It is refused, nothing was found, or something has to be put right.",
    "shell.exit_2": "An option is wrong or missing.",
    "shell.database": "The database says: {error}. `flask scim check` says what may be the matter.",
    "shell.full": "Not all of it could be written: {error}.",
    "shell.when": "{value!r} is neither a day (2026-01-31), a time (2026-01-31T09:30) nor how "
    "long ago (30m, 2h, 7d).",
    "shell.unknown": "Nothing in this account is called {name!r}.",
    "shell.no_entry": "The log of this account has no entry and no request {id!r}.",
    "shell.log.id": "Entry",
    "shell.log.time": "Time",
    "shell.log.event": "Event",
    "shell.log.result": "Result",
    "shell.log.actor": "By",
    "shell.log.fingerprint": "Fingerprint",
    "shell.log.address": "Request",
    "shell.log.about": "About",
    "shell.log.holder": "Has it already",
    "shell.log.reason": "Reason",
    "shell.log.detail": "Detail",
    "shell.log.duration": "Took",
    "shell.log.request": "Request id",
    "shell.log.correlation": "Microsoft Entra's id",
    "shell.log.ignored": "Not kept here",
    "shell.log.changes": "Changes",
    "shell.log.body": "Sent",
    "shell.log.meaning": "What it means",
    "shell.log.who": "Who can fix it:",
    "shell.log.exported": "{n} entries",
    "shell.log.pruning": "Removing",
    "shell.log.pruned": "Entries removed, from before {day}: {n}.",
    "shell.log.would_prune": "Entries from before {day}: about {n}. Nothing was removed.",
    "shell.sso.now": "In force: {what}.",
    "shell.sso.second_factor": "This application knows no second factor, which break-glass owners "
    "need: give H5magSCIM(…, second_factor=…).",
    "shell.sso.way_in": "Somebody must get in when Microsoft does not work: name a break-glass "
    "owner first, an active owner or admin, with `flask scim sso break-glass add`.",
    "shell.sso.off": "Single sign-on is off.",
    "shell.sso.off_before": "Single sign-on was off already.",
    "shell.sso.named": "Named {name}.",
    "shell.sso.removed": "Removed {name}.",
    "shell.sso.not_named": "{name!r} is no break-glass owner.",
    "shell.sso.linked": "Linked {name} to {oid}.",
    "shell.sso.unlinked": "{name} is not linked to anybody.",
    "shell.sso.no_user": "No one user of this account is called {name!r}.",
    "shell.sso.reencrypted": "Encrypted anew: {n}.",
    "shell.sso.lost": "No key decrypts the secret of these accounts, which have to enter it "
    "again: {accounts}.",
    "shell.sso.secret_alone": "A secret belongs to a --client-id.",
    "shell.sso.no_registration": "This application has no registration at Microsoft: set "
    "H5MAG_SCIM_OIDC_CLIENT_ID and H5MAG_SCIM_OIDC_CLIENT_SECRET, or give the account's own with "
    "--client-id.",
    "shell.sso.no_secret": "No secret is stored for this --client-id: give it with "
    "--client-secret-file.",
    "shell.sso.mode": "Sign-in",
    "shell.sso.unlicensed": "off (this account has no licence)",
    "shell.sso.redirect_uri": "Redirect URI",
    "shell.sso.sign_on_url": "Sign-on URL",
    "shell.sso.no_address": "none yet: no directory is set",
    "shell.sso.break_glass": "Break-glass",
    "shell.sso.nobody": "nobody",
    "shell.sso.no_break_glass": "This account has no break-glass owner.",
    "shell.sso.people": "People",
    "shell.sso.reach": "{provisioned} active and provisioned; {unreachable} of them cannot sign "
    "in, because nobody at Microsoft is them",
    "shell.sso.in_force": "In force",
    "shell.sso.pending": "Waiting for its test",
    "shell.sso.directory": "Directory",
    "shell.sso.registration": "App registration",
    "shell.sso.shared": "this application's",
    "shell.sso.own_missing": "{client_id}, without a secret",
    "shell.sso.own_stored": "{client_id}, secret stored, ends {day}",
    "shell.sso.own_lost": "{client_id}, secret stored that no key decrypts, ends {day}",
    "shell.sso.unknown_day": "on an unknown day",
    "shell.sso.tested": "Tested",
    "shell.sso.untested": "never",
    "shell.sso.by": "{time} by {by}",
    "shell.sso.trial": "Trial until",
    "shell.sso.guests": "Guests",
    "shell.sso.user_names": "Link by user name",
    "shell.sso.sessions": "Sessions",
    "shell.sso.hours": "{n} h",
    "shell.sso.saved": "Saved",
    "shell.sso.yes": "yes",
    "shell.sso.no": "no",
    # explain
    "explain.tree": "Filter",
    "explain.sql": "SQL",
    "explain.values": "Values",
    "explain.plan": "The database's plan",
    "explain.nothing": "Reads nothing: no row can satisfy this.",
    "explain.found": "Uses the index {index}.",
    "explain.found_small": "Uses the index {index} as soon as it is worth it: {table} is still so "
    "small that the database does without.",
    "explain.range": "Reads a part of the index {index}.",
    "explain.account": "Reads the whole account: the index {index} finds only whose rows they are.",
    "explain.table": "Reads the whole table {table}, the rows of all accounts.",
    "explain.cure_index": "Add to the __table_args__ of {model}:",
    "explain.cure_order": "The database does not use the index {index}, because it needs the rows "
    "in the order of their keys. Let it end with the key, in {model}:",
    "explain.cure_range": "The database weighs the index {index} against reading in the order of "
    "the keys, and uses it where it expects few rows.",
    "explain.cure_small": "{table} is still so small that memberships are looked up for each row "
    "of the account. PostgreSQL can begin with them when there are more: ask again then.",
    "explain.cure_hybrid": "    an index that begins with {account} and goes on with the SQL "
    "expression of the hybrid {attribute}",
    "explain.cure_none": "No index helps: only eq, gt, ge, lt and le on what is kept find rows by "
    "one. Microsoft Entra asks with eq.",
    "explain.cure_split": "Each part has its index, but the database does not join them: ask for "
    "each part by itself.",
    "explain.cure_related": "No index helps: memberships are looked up for each row of the "
    "account. Microsoft Entra reads a group, or names its id as well.",
    "explain.unknown_database": "The plans of {name} are not understood here, only those of "
    "SQLite and PostgreSQL.",
    # check: what is the matter, and what to do
    "check.none": "Nothing has to be put right.",
    "check.count": "Errors: {errors}, warnings: {warnings}, hints: {hints}.",
    "check.severity_error": "ERROR",
    "check.severity_warning": "WARNING",
    "check.severity_hint": "HINT",
    "check.setting_unknown": "{setting} is not a setting of flask_h5mag_scim.",
    "cure.setting_unknown": "Look for its right name in the README, or take it out.",
    "check.url_missing": "H5MAG_SCIM_PUBLIC_URL is not set: the addresses on the page are made "
    "from each request, which works in development only.",
    "cure.url_missing": "Set it to the public https address, like 'https://app.h5mag.com'.",
    "check.url_http": "H5MAG_SCIM_PUBLIC_URL is {url}, on this machine: Microsoft Entra can "
    "neither reach it nor send anybody back to it.",
    "cure.url_http": "Set it to the public https address, like 'https://app.h5mag.com'.",
    "check.debug": "Debug mode is on at {url}: whoever brings about an error can run code.",
    "cure.debug": "Start the application without --debug and FLASK_DEBUG.",
    "check.secret_key_missing": "SECRET_KEY is not set: nobody can sign in, and no secret can be "
    "kept.",
    "cure.secret_key_missing": "Set it to what this prints, and keep it:\n"
    "    python -c 'import secrets; print(secrets.token_hex())'",
    "check.secret_key_short": "SECRET_KEY has {length} characters: whoever guesses it can sign "
    "in as anybody.",
    "cure.secret_key_short": "Set it to what this prints, with the old one in "
    "SECRET_KEY_FALLBACKS until `flask scim sso reencrypt` has run:\n"
    "    python -c 'import secrets; print(secrets.token_hex())'",
    "check.encryption_keys": "H5MAG_SCIM_ENCRYPTION_KEYS is not set: the secrets of customers' "
    "own app registrations are encrypted with a key made from SECRET_KEY, and are lost with it.",
    "cure.encryption_keys": "Set it to a list with what this prints, then run `flask scim sso "
    "reencrypt`:\n    python -c 'import base64, os; "
    "print(base64.urlsafe_b64encode(os.urandom(32)).decode())'",
    "check.registration_missing": "This application has no registration at Microsoft: every "
    "customer needs an app registration of their own for single sign-on.",
    "cure.registration_missing": "Register a multi-tenant application in Microsoft Entra, and set "
    "H5MAG_SCIM_OIDC_CLIENT_ID and H5MAG_SCIM_OIDC_CLIENT_SECRET.",
    "check.registration_id": "H5MAG_SCIM_OIDC_CLIENT_ID is {client_id!r}, which is no id of "
    "Microsoft's.",
    "cure.registration_id": "Copy the Application (client) ID from App registrations, Overview.",
    "check.registration_end": "The secret of the registration {client_id} ends on a day that is "
    "not known here; from then on nobody comes in with it.",
    "cure.registration_end": "Look it up in App registrations, Certificates & secrets, and note "
    "the day where somebody sees it.",
    "check.layout_missing": "H5MAG_SCIM_LAYOUT is {name!r}, and there is no template {missing!r}.",
    "check.layout": "The template {name} of H5MAG_SCIM_LAYOUT cannot be read: {error}.",
    "cure.layout": "Name the template that your own pages extend, or leave the setting out.",
    "check.layout_content": "The template {name} of H5MAG_SCIM_LAYOUT has no block content: the "
    "pages stay empty.",
    "cure.layout_content": "Put this where a page's own content belongs:\n"
    "    {{% block content %}}{{% endblock %}}",
    "check.layout_title": "The template {name} of H5MAG_SCIM_LAYOUT has no block title: all pages "
    "are called the same.",
    "cure.layout_title": "Put this into its <head>:\n"
    "    <title>{{% block title %}}{{% endblock %}}</title>",
    "check.layout_head": "The template {name} of H5MAG_SCIM_LAYOUT has no block head: the pages "
    "have neither their style sheet nor their script.",
    "cure.layout_head": "Put this into its <head>:\n    {{% block head %}}{{% endblock %}}",
    "check.address_taken": "{address} is answered by {by!r} of the application and not by the "
    "extension.",
    "cure.address_taken": "Give the application's view another address, or set the extension's "
    "prefix: H5MAG_SCIM_URL_PREFIX, …_PAGE_URL_PREFIX, …_SSO_URL_PREFIX, …_OAUTH_URL_PREFIX.",
    "check.host_matching": "The application was made with host_matching, and the extension's "
    "addresses name no host: nothing answers them.",
    "cure.host_matching": "Make it without, and let the web server in front of it tell hosts "
    "apart.",
    "check.login_endpoint": "There is no view {endpoint!r}, which H5MAG_SCIM_LOGIN_ENDPOINT names "
    "(or its default): whoever is refused, or has to sign in once more, gets an error.",
    "cure.login_endpoint": "Set it to the endpoint of your login view, like 'auth.login'.",
    "check.login_manager": "Flask-Login is not set up: nobody can open the page or sign in.",
    "cure.login_manager": "Call login_manager.init_app(app) in the application factory.",
    "check.login_view_missing": "Flask-Login has no login_view: whoever opens the page without "
    "being signed in gets an error (401).",
    "cure.login_view_missing": "Set login_manager.login_view to the endpoint of your login view, "
    "like 'auth.login'.",
    "check.login_view": "There is no view {endpoint!r}, which Flask-Login's login_view names: "
    "whoever opens the page without being signed in gets an error (500).",
    "cure.login_view": "Set login_manager.login_view to the endpoint of your login view, like "
    "'auth.login'.",
    "check.user_loader": "Flask-Login has no user_loader: nobody stays signed in.",
    "cure.user_loader": "Give it one:\n    @login_manager.user_loader\n"
    "    def load_user(user_id):\n"
    "        return scim.session_guard(db.session.get(User, user_id))",
    "check.session_guard": "{name} does not name scim.session_guard. If nothing that it calls "
    "does, sessions go on when somebody is deactivated or single sign-on ends them.",
    "cure.session_guard": "Let the user_loader return scim.session_guard(user).",
    "check.second_factor": "H5magSCIM has no second_factor: no account can choose Require "
    "Microsoft.",
    "cure.second_factor": "Give H5magSCIM(…, second_factor=…), if the application has one.",
    "check.log_values": "H5MAG_SCIM_LOG_VALUES is 'full': the log keeps people's values whole, and "
    "whoever manages an account reads them.",
    "cure.log_values": "Set it to 'masked' when you are done looking.",
    "cure.unique": "Add to the __table_args__ of {model}:\n    {index}",
    "check.unique_unknown": "{path} of {model} is a hybrid property: only you know whether the "
    "database keeps its values unique within an account.",
    "cure.unique_unknown": "Make sure that a unique index begins with the account's column and "
    "goes on with the expression of the hybrid.",
    "check.group_row": "The attribute map of {model} has no row for {path}, which Microsoft "
    "Entra's mapping of groups sends.",
    "cure.group_row": "Map {path} to a column.",
    "check.modified": "The attribute map of {model} has no row for {path}: answers do not say when "
    "something was changed last.",
    "cure.modified": "Map it to a time with onupdate, if there is one.",
    "check.catch_all": "The attribute map of {model} has no row '*': attributes that it does not "
    "name are ignored, and named in the log.",
    "cure.catch_all": "Map '*' to a column of the type sa.JSON with default=dict, if they should "
    "be kept.",
    "check.hybrid_expression": "{path} is mapped to the hybrid property {attribute} of {model}, "
    "which has no SQL expression: a list or a filter with it fails.",
    "cure.hybrid_expression": "Give it one:\n    @{attribute}.inplace.expression\n"
    "    @classmethod\n    def _{attribute}_expression(cls):\n        return …",
    "check.hybrid_setter": "{path} is mapped to the hybrid property {attribute} of {model}, which "
    "has no setter: Microsoft Entra cannot change it.",
    "cure.hybrid_setter": "Give it one:\n    @{attribute}.inplace.setter\n"
    "    def _set_{attribute}(self, value):\n        …",
    "check.active_type": "active is mapped to {attribute} of {model}, which is {type}: what it "
    "keeps is not simply true or false.",
    "cure.active_type": "Map active to a sa.Boolean, or to a hybrid property that makes one of it.",
    "check.length": "{path} is kept in {attribute} of {model} with room for {length} characters; "
    "Microsoft Entra sends up to {longest}, and what is longer is refused.",
    "cure.length": "Make it sa.String({longest}) or longer, with a migration.",
    "check.time_zone": "{path} is kept in {attribute} of {model} without a zone, and is taken for "
    "UTC.",
    "cure.time_zone": "Make sure that the application writes UTC, or use "
    "sa.DateTime(timezone=True).",
    "check.not_null": "{attribute} of {model} may not be empty, but {path} may: nobody can be "
    "created without it, and it cannot be taken away.",
    "cure.not_null": "Let the column be empty (nullable=True).",
    "check.not_null_cleared": "{attribute} of {model} may not be empty, but {path} may: taking it "
    "away is refused.",
    "cure.not_null_cleared": "Let the column be empty (nullable=True), if that can mean something.",
    "check.not_null_unmapped": "{attribute} of {model} may not be empty, has no default and is not "
    "in the attribute map: nobody can be created through SCIM.",
    "cure.not_null_unmapped": "Give the column a default, map it, or set it in new() of your "
    "resource class.",
    "check.not_null_catch_all": "{attribute} of {model}, which '*' is mapped to, may not be "
    "empty and has no default: nobody can be created of whom nothing is left for it.",
    "cure.not_null_catch_all": "Give the column default=dict.",
    "check.owner_role": "The map of {model} gives roles, and no owner_role says which one "
    "provisioning never gives: nothing keeps the last owner of an account.",
    "cure.owner_role": "Give UserResource(…, owner_role=…), if the application has owners.",
    "check.cascade": "{table}.{column} refers to people with ondelete='CASCADE': what is in "
    "{table} goes when SCIM deletes them.",
    "cure.cascade": "If it should outlive them, hand it over in delete() of your UserResource.",
    "check.restrict": "{table}.{column} refers to people, and nothing says what becomes of it: "
    "SCIM cannot delete a {user} who has some (409).",
    "cure.restrict": "Hand it over or delete it in delete() of a subclass of UserResource, or give "
    "the foreign key an ondelete.",
    "check.database": "The database does not answer: {error}.",
    "cure.database": "Look at SQLALCHEMY_DATABASE_URI, and whether the server is running.",
    "check.table_missing": "The database has no {tables}: a migration has not run.",
    "cure.table_missing": "Run it, after making it if need be:\n    flask db migrate\n"
    "    flask db upgrade",
    "check.column_missing": "The table {table} has no {columns}: a migration has not run.",
    "cure.column_missing": "Run it, after making it if need be:\n    flask db migrate\n"
    "    flask db upgrade",
    "check.index_missing": "The table {table} has no index {index}: a migration has not run.",
    "cure.index_missing": "Run it, after making it if need be:\n    flask db migrate\n"
    "    flask db upgrade",
    "check.unique_everywhere": "{table}.{column} is unique over all accounts: a customer cannot "
    "have somebody whose {path} another customer has, and learns that they are there.",
    "cure.unique_everywhere": "Let it be unique within an account:\n    {index}",
    "check.unique_case": "{table}.{column} is unique within an account only as it is spelled; "
    "{path} is the same in upper and lower case, so that two requests at once could create it "
    "twice.",
    "cure.unique_case": "Let the index have it in lower case:\n    {index}",
    "check.unique_missing": "The model keeps {table}.{column} unique, but the database has no such "
    "index: two requests at once could create the same {path} twice.",
    "cure.unmigrated": "The model has the index and the database has not. Run the migration; where "
    "it leaves the index out, as Alembic's do with lower() on SQLite, write this into one:\n"
    "    {operation}",
    "check.not_found_by_index": "Looking for a {model} by {path} reads the whole account: when "
    "Microsoft Entra matches by it, every cycle does so for everybody.",
    "check.page_index": "A page of {model} sorts the whole account: no index begins with the "
    "account and the key.",
    "cure.page_index": "Add to the __table_args__ of {model}:\n"
    "    sa.Index('ix_{table}_account', '{account}', '{id}')",
    "check.membership_index": "No index of {table} begins with {column}: memberships are looked "
    "for in the whole table.",
    "cure.membership_index": "Add to {table}:\n"
    "    sa.Index('ix_{table}_{column}', '{column}', '{other}')",
    "check.membership_twice": "Nothing keeps a membership in {table} from being there twice.",
    "cure.membership_twice": "Make both columns its primary key, or add\n"
    "    sa.UniqueConstraint('{group}', '{member}')",
    "check.reference_index": "{table}.{column} refers to people without an index: whoever is "
    "deleted is looked for in the whole table.",
    "cure.reference_index": "Add index=True to the column.",
    "check.sqlite_foreign_keys": "SQLite does not look at foreign keys: what belongs to a deleted "
    "account or user stays behind.",
    "cure.sqlite_foreign_keys": "Run PRAGMA foreign_keys = ON on every connection (an event "
    "listener for 'connect').",
    "check.secrets_lost": "No key decrypts the client secret of these accounts, whose people "
    "cannot sign in: {accounts}.",
    "cure.secrets_lost": "Put the old key back, at the end of H5MAG_SCIM_ENCRYPTION_KEYS or into "
    "SECRET_KEY_FALLBACKS; if it is gone, their admins have to enter the secret again.",
    "check.secrets_old": "{number} accounts have a client secret that is not encrypted with the "
    "newest key.",
    "cure.secrets_old": "Run `flask scim sso reencrypt`, and take the old key out.",
    "check.log_not_pruned": "The log has entries from {oldest}, and the page promises that they "
    "are kept for {days} days.",
    "cure.log_not_pruned": "Run this once a day, from cron for example:\n    flask scim log prune",
}

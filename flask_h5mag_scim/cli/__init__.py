"""``flask scim …``: the operator's commands; what the page does, done from the shell."""

from __future__ import annotations

import click
from flask.cli import ScriptInfo

from . import account, brake, check, explain, logs, oauth, sso, tokens, warn
from .shell import Group

group = Group("scim", help="Provisioning and single sign-on of an account.")
group.add_command(tokens.group)
group.add_command(oauth.group)
group.add_command(sso.group)
group.add_command(logs.group)
group.add_command(check.check)
group.add_command(explain.explain)
group.add_command(brake.group)
group.add_command(warn.warn)
group.add_command(account.pause)
group.add_command(account.resume)
group.add_command(account.disconnect)


def is_beginning() -> bool:
    """Whether the application is being made for a command of ``flask …``, and not to serve.

    What is printed then is mailed by cron with each run; ``flask scim check`` says all of it.
    """
    context = click.get_current_context(silent=True)
    if context is None or context.find_object(ScriptInfo) is None:
        return False  # servers have commands of click's, too
    return context.info_name != "run"

"""The form with which people, and those who look after them, change who they are in H5mag.

Some fields are Microsoft Entra's where it provisions the person: the page shows them disabled,
and what is sent for them all the same is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from .models import ASSIGNABLE_ROLES, OWNER, User
from .provisioning import scim

LANGUAGES = {
    "de-DE": "Deutsch",
    "en-GB": "English (United Kingdom)",
    "en-US": "English (United States)",
    "es-ES": "Español",
    "fr-FR": "Français",
    "nl-NL": "Nederlands",
}
TIMEZONES = (
    "America/Los_Angeles",
    "America/New_York",
    "Asia/Tokyo",
    "Europe/Amsterdam",
    "Europe/London",
    "UTC",
)

#: What no database stores, and what would break a line.
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True)
class Field:
    """One field of the form."""

    #: The model's attribute.
    name: str
    label: str
    hint: str = ""
    type: str = "text"
    autocomplete: str = "off"
    required: bool = False
    #: Whether people may change it in themselves.
    own: bool = True
    #: Values and their labels, of a field to choose in.
    choices: Mapping[str, str] | None = None

    def options(self, value: str) -> dict[str, str]:
        """The choices, and what the person has, which need not be one of them."""
        found = {} if self.required else {"": "Not set"}
        found.update(self.choices or {})
        return found if value in found else {value: value, **found}


FIELDS = (
    Field("first_name", "First name", autocomplete="given-name"),
    Field("last_name", "Last name", autocomplete="family-name"),
    Field("display_name", "Display name", "What everybody in the account sees."),
    # Who may set an address could take over somebody's sign-in.
    Field("email", "E-mail address", type="email", autocomplete="email", own=False),
    Field("language", "Language", choices=LANGUAGES),
    Field("timezone", "Time zone", choices={zone: zone for zone in TIMEZONES}),
    Field(
        "role",
        "Role",
        "Readers read, editors make magazines, admins look after the account.",
        required=True,
        own=False,
        choices={role: role.capitalize() for role in ASSIGNABLE_ROLES},
    ),
    Field("byline", "Byline", "How magazines sign what this person wrote."),
)
LENGTH = 120


def may_edit(person: User, editor: User) -> bool:
    """Whether ``editor`` may open the form of ``person``: their own, and as an owner or admin
    that of others; an owner's only as an owner."""
    if person.id == editor.id:
        return True
    return editor.role == OWNER or (editor.is_manager and person.role != OWNER)


def fields(person: User, editor: User) -> list[Field]:
    """The fields of the form: owners keep their role, and nobody gives themselves one."""
    is_own = person.id == editor.id
    return [
        field
        for field in FIELDS
        if (field.own or editor.is_manager)
        and (field.name != "role" or not (is_own or person.role == OWNER))
    ]


def page(
    person: User,
    editor: User,
    *,
    sent: Mapping[str, str] = MappingProxyType({}),
    problems: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, Any]:
    """What the template of the form shows.

    :param sent: what was typed, when it is shown again.
    :param problems: by the names of the fields; nothing for the form as a whole.
    """
    shown = fields(person, editor)
    managed = scim.managed_attributes(person)
    values = {field.name: getattr(person, field.name) or "" for field in shown}
    for name in values.keys() & sent.keys() - managed:
        values[name] = _clean(sent[name])
    return {
        "person": person,
        "fields": shown,
        "values": values,
        "problems": problems,
        "some_managed": any(field.name in managed for field in shown),
        "some_open": any(field.name not in managed for field in shown),
    }


def problems(person: User, editor: User, sent: Mapping[str, str]) -> dict[str, str]:
    """What is wrong with the form, by the names of the fields, or nothing for all of it."""
    # The browser sends no disabled field: these were typed before Microsoft Entra took over,
    # or made by hand.
    if refused := scim.managed_attributes(person) & sent.keys():
        return {"": refusal(person, refused)}
    found = {}
    for field in fields(person, editor):
        if field.name not in sent:
            continue
        value = _clean(sent[field.name])
        former = getattr(person, field.name) or ""
        if len(value) > LENGTH:
            found[field.name] = f"At most {LENGTH} characters."
        elif field.choices is not None and value not in field.options(former):
            found[field.name] = "Choose one of the list."
        elif field.type == "email" and value and not re.fullmatch(r"[^@\s]+@[^@\s]+", value):
            found[field.name] = "This is not an e-mail address."
    return found


def refusal(person: User, names: Iterable[str]) -> str:
    """Why these attributes of ``person`` cannot be changed here."""
    labels = {field.name: field.label for field in FIELDS}
    listed = ", ".join(sorted(labels.get(name, name).lower() for name in names))
    return (
        f"Nothing was saved. Microsoft Entra ID manages this of {person.label}: {listed}. "
        "Change it there; it arrives here with the next cycle."
    )


def store(person: User, editor: User, sent: Mapping[str, str]) -> None:
    """Write what was sent, without problems, on the person. Does not commit."""
    for field in fields(person, editor):
        if field.name in sent:
            setattr(person, field.name, _clean(sent[field.name]) or None)
    if not scim.managed(person, "full_name"):
        names = (person.first_name, person.last_name)
        person.full_name = " ".join(filter(None, names)) or None


def _clean(text: str) -> str:
    return " ".join(_CONTROL.sub(" ", text).split())

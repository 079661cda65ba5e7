"""The one role that a person has in the host, out of SCIM's list of roles.

Clients send lists, with or without a primary element; the host keeps one value. Which one
it is, and which may be given at all, is decided here, on documents and operations.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from ..protocol import documents
from ..protocol.errors import InvalidValue
from ..protocol.patch import Operation
from ..protocol.paths import parse_path
from ..protocol.schemas import USER, Complex, deserialize
from ..reasons import Reason

#: The path of the map that keeps a person's role.
PATH = "roles[primary eq true].value"
#: The attribute as a whole.
ROLES = USER.locate(parse_path("roles"))


class Roles:
    """The roles that SCIM may give.

    :param given: their values, the most powerful first; the last is what is left to
        somebody whose role is taken away.
    :param owner: a value that SCIM never gives.
    :raises ValueError: when they do not fit together.
    """

    def __init__(self, given: Sequence[str], owner: str | None) -> None:
        self.given = tuple(given)
        self.owner = owner
        self._known = {value.lower(): value for value in self.given}
        self._rank = {value.lower(): place for place, value in enumerate(self.given)}
        if isinstance(given, str) or not all(self.given) or not self.given:
            raise ValueError(
                'roles= takes the values of the roles, the most powerful first, like ("admin", '
                '"reader").'
            )
        if len(self._known) < len(self.given):
            raise ValueError("roles= names a role twice; case makes no difference.")
        if owner is not None and (not owner or owner.lower() in self._known):
            raise ValueError("owner_role= is a role that roles= does not name.")

    @staticmethod
    def of(document: dict[str, Any]) -> str | None:
        """The role of a person: the value of the primary element."""
        return _value_of(_primary(documents.elements(document, ROLES)))

    def is_owner(self, document: dict[str, Any]) -> bool:
        """Whether a person has the role that SCIM never gives."""
        role = self.of(document)
        return role is not None and self.owner is not None and role.lower() == self.owner.lower()

    def arrive(self, document: dict[str, Any], sent: Any, had: str | None) -> None:
        """Give a document that has roles, or none, those that are ``sent`` as well.

        The element that says that it is primary is the role; when none does, it is the most
        powerful of those sent. A role that is in the list already stays one element.

        :param sent: elements that were checked by the schema.
        :param had: the role before the request, which may be sent again whatever it is.
        :raises InvalidValue: for a role that is not given.
        """
        current: list[Any] = list(documents.elements(document, ROLES))
        by_value = {_key(element): element for element in current if _key(element)}
        arrived: list[dict[str, Any]] = []
        for element in sent:
            if not _key(element):
                current.append(element)
                continue
            spelled = {**element, "value": self._spelled(element["value"], had)}
            known = by_value.setdefault(_key(spelled), spelled)
            if known is spelled:
                current.append(known)
            known |= {name: part for name, part in spelled.items() if name != "primary"}
            known["primary"] = element.get("primary") is True
            arrived.append(known)
        said = [element for element in arrived if element["primary"]]
        chosen = said[-1] if said else min(arrived, key=self._power, default=_primary(current))
        if chosen is not None:
            _leave_primary(current, chosen)
        documents.set_elements(document, ROLES, current)

    def arriving(
        self, document: dict[str, Any], operation: Operation, had: str | None
    ) -> Operation:
        """An operation of a PATCH as it is to be applied to ``document``.

        :param had: the role before the request.
        :raises InvalidValue: for a role that is not given.
        """
        target, value = operation.target, operation.value
        if target.container or target.urn is not None or target.name != ROLES.name or not value:
            return operation
        if operation.op == "remove":
            return Operation("remove", target, self._named(value))
        current = documents.elements(document, ROLES)
        if target.sub is not None:
            part = {target.sub: deserialize(target.leaf, value, target.text)}
        elif target.filter is not None:
            part = deserialize(target.element, value, target.text)
            if not isinstance(part, dict):
                return operation
        else:
            kept = current if operation.op == "add" else []
            return self._list(kept, deserialize(target.field, value, target.text), had)
        known = target.element.sub_attributes if isinstance(target.element, Complex) else {}
        made = {} if target.filter is None else documents.constants(target.filter)
        if made is not None and not any(
            isinstance(e, dict)
            and (target.filter is None or documents.holds(e, target.filter, known))
            for e in current
        ):
            return self._list(current, [{**made, **part}], had)
        if _key(part):
            part["value"] = self._spelled(part["value"], had)
        return replace(operation, value=part if target.sub is None else part[target.sub])

    def settle(self, document: dict[str, Any], before: dict[str, Any]) -> None:
        """Leave one primary element in a document whose roles were changed: what was taken
        away is replaced by the least powerful role.

        :param before: the document before the request; empty for a new person.
        :raises InvalidValue: for a role that is not given.
        """
        old = documents.elements(before, ROLES)
        had = self.of(before)
        current = documents.elements(document, ROLES)
        if current == old:
            return
        primary = _primary(current)
        role = _value_of(primary)
        if primary is not None and role != had:
            primary["value"] = self._spelled(role, had)
        if role is None and had is not None:
            least = self.given[-1]
            # What the role that is gone was called, says nothing of this one.
            current = [e for e in current if _key(e) or not _is_primary(e)]
            primary = next((e for e in current if _key(e) == least.lower()), None)
            if primary is None:
                primary = {"value": least}
                current = [primary, *current]
        if primary is not None:
            _leave_primary(current, primary)
            same = _key(primary)
            current = [e for e in current if e is primary or not same or _key(e) != same]
        documents.set_elements(document, ROLES, [_without_empty(e) for e in current])

    def _list(self, current: Iterable[Any], sent: Any, had: str | None) -> Operation:
        """The operation that leaves what :meth:`arrive` makes."""
        document: dict[str, Any] = {ROLES.name: [_copied(element) for element in current]}
        self.arrive(document, sent, had)
        return Operation("replace", ROLES, documents.elements(document, ROLES))

    def _named(self, sent: Any) -> list[Any]:
        """What a removal names, by nothing but the value where there is one: whether it is
        the primary one is decided here, and not by who sent it."""
        named = []
        for element in sent if isinstance(sent, list) else [sent]:
            value = element.get("value") if isinstance(element, dict) else element
            if isinstance(value, str) and value:
                element = {"value": self._known.get(value.lower(), value)}
            named.append(element)
        return named

    def _spelled(self, value: Any, had: str | None) -> str:
        """A role's value in the host's spelling.

        :raises InvalidValue: for one that is not given.
        """
        lower = str(value).lower()
        if had is not None and lower == had.lower():
            return had
        if lower in self._known:
            return self._known[lower]
        shown = repr(str(value)[:100])
        why = "is not a role of this application."
        if self.owner is not None and lower == self.owner.lower():
            why = "is a role that is given in the application itself, never by provisioning."
        raise InvalidValue(
            f"{ROLES.name}: {shown} {why} Roles that can be sent: {', '.join(self.given)}.",
            path=ROLES.name,
            values=[shown],
            reason=Reason.ROLE,
        )

    def _power(self, element: dict[str, Any]) -> int:
        # The role that somebody had before and that is not given is the owner's.
        return self._rank.get(_key(element), -1)


def _key(element: Any) -> str:
    """The role of an element, for comparisons; empty without one."""
    value = element.get("value") if isinstance(element, dict) else None
    return value.lower() if isinstance(value, str) else ""


def _value_of(element: dict[str, Any] | None) -> str | None:
    return None if element is None else str(element["value"])


def _is_primary(element: Any) -> bool:
    return isinstance(element, dict) and element.get("primary") is True


def _primary(elements: Iterable[Any]) -> dict[str, Any] | None:
    """The element that keeps the role."""
    return next((e for e in elements if _is_primary(e) and _key(e)), None)


def _leave_primary(elements: Iterable[Any], chosen: dict[str, Any]) -> None:
    for element in elements:
        if _is_primary(element):
            element["primary"] = False
    chosen["primary"] = True


def _copied(element: Any) -> Any:
    return dict(element) if isinstance(element, dict) else element


def _without_empty(element: Any) -> Any:
    if isinstance(element, dict) and "value" in element and not _key(element):
        return {name: part for name, part in element.items() if name != "value"}
    return element

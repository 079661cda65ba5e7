"""Bulk requests (RFC 7644 §3.7): many operations in one transaction, each of which succeeds
or fails by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import sqlalchemy as sa

from ..protocol.bulk import (
    BULK_RESPONSE,
    BulkOperation,
    in_order,
    needs,
    read_bulk,
    resolved,
    without,
)
from ..protocol.errors import Conflict, MethodNotAllowed, NotFound, SCIMError
from ..provisioning.resources import Change
from ..records import locks
from . import bearer, journal, verbs
from .exchange import MAX_OPERATIONS, Answer, Exchange, Message, View, locate
from .failures import as_scim_error

_VERBS: dict[str, View] = {
    "POST": verbs.create,
    "PUT": verbs.replace,
    "PATCH": verbs.modify,
    "DELETE": verbs.delete,
}


def bulk(exchange: Exchange) -> Answer:
    """Carry out a bulk request."""
    body = exchange.message.body()
    operations, limit = read_bulk(body, max_operations=MAX_OPERATIONS)
    # All of them are written at the end or none is, if the database fails on the way.
    for resource in (exchange.state.scim.user, exchange.state.scim.group):
        locks.begin_write(exchange.session, resource.model)
    run = _Run(exchange, operations)
    for numbers in in_order(operations):
        if limit is not None and run.errors >= limit:
            break
        run.carry_out(numbers)
    bearer.readmit(exchange.state, exchange.caller)
    done = [run.results[number] for number in sorted(run.results)]
    return Answer(200, {"schemas": [BULK_RESPONSE], "Operations": done}, changes=run.changes)


@dataclass
class _Run:
    """How far a bulk request is."""

    whole: Exchange
    operations: list[BulkOperation]
    #: What is answered to each operation, by its number.
    results: dict[int, dict[str, Any]] = field(default_factory=dict)
    #: The ids of what was made, by bulkId.
    ids: dict[str, str] = field(default_factory=dict)
    changes: list[tuple[Exchange, Change]] = field(default_factory=list)
    errors: int = 0

    def carry_out(self, numbers: Sequence[int]) -> None:
        """Carry out one operation, or several that refer to each other: then all of them
        succeed or none does."""
        ids = dict(self.ids)
        steps: list[tuple[int, Answer]] = []
        number = numbers[0]
        try:
            with self.whole.session.begin_nested():
                circular = self._names(numbers) if len(numbers) > 1 else self._own_name(number)
                later: list[tuple[int, BulkOperation]] = []
                for number in numbers:
                    operation = self._ready(self.operations[number], numbers)
                    # Of two that refer to each other, the first is made without the other.
                    data, rest = without(operation.data, circular - ids.keys())
                    answer = self._step(operation, data, ids)
                    steps.append((number, answer))
                    made = answer.changes[0][1].id
                    if operation.method == "POST" and operation.bulk_id:
                        ids[operation.bulk_id] = made
                    if rest:
                        path = f"{operation.path.rstrip('/')}/{made}"
                        addition = {"Operations": [{"op": "add", "value": rest}]}
                        later.append((number, BulkOperation("PATCH", path, data=addition)))
                for number, operation in later:
                    steps.append((number, self._step(operation, operation.data, ids)))
        except sa.exc.OperationalError:
            raise  # the database itself: nothing of the request is done
        except Exception as cause:
            self._fail(numbers, number, as_scim_error(cause))
            return
        self.ids = ids
        for number, answer in steps:
            self.changes += answer.changes
            self._succeed(number, answer)

    def _names(self, numbers: Sequence[int]) -> set[str]:
        return {name for number in numbers if (name := self.operations[number].bulk_id)}

    def _own_name(self, number: int) -> set[str]:
        return self._names([number]) & needs(self.operations[number])

    def _ready(self, operation: BulkOperation, together: Sequence[int]) -> BulkOperation:
        """``operation``, if it can be carried out at all."""
        if operation.error is not None:
            raise operation.error
        made_here = self._names(together)
        for name in sorted(needs(operation) - self.ids.keys() - made_here):
            if name in self.makers:
                shown = repr(name[:60])
                raise Conflict(
                    f"This needs the resource with the bulkId {shown}, whose operation failed.",
                    values=[shown],
                )
        return operation

    @cached_property
    def makers(self) -> set[str]:
        """The bulkIds of what the request is to make."""
        return {one.bulk_id for one in self.operations if one.method == "POST" and one.bulk_id}

    def _step(self, operation: BulkOperation, data: Any, ids: Mapping[str, str]) -> Answer:
        """One verb on one address."""
        about = self._exchange(operation, resolved(operation.path, ids), resolved(data, ids))
        return _VERBS[operation.method](about)

    def _exchange(self, operation: BulkOperation, path: str, data: Any) -> Exchange:
        resource, id = locate(path, self.whole.state)
        if resource is None:
            shown = repr(path[:100])
            raise NotFound(
                f"There is nothing at {shown} for a bulk request: its operations are on /Users "
                "and /Groups.",
                values=[shown],
            )
        if (operation.method == "POST") is bool(id):
            raise MethodNotAllowed(operation.method, ["PUT", "PATCH", "DELETE"] if id else ["POST"])
        message = Message(
            operation.method,
            # Nothing of the resource is shown, so nothing is read for it.
            {},
            lambda: data,
            if_match=operation.version,
            wants_body=False,
            address=path,
        )
        return Exchange(self.whole.state, self.whole.caller, message, resource, id)

    def _succeed(self, number: int, answer: Answer) -> None:
        operation = self.operations[number]
        exchange, change = answer.changes[0]
        result = self.results.setdefault(
            number,
            {
                **_naming(operation),
                "location": exchange.location(change.id),
                "status": str(answer.status),
            },
        )
        if answer.tag is not None:
            result["version"] = answer.tag

    def _fail(self, numbers: Sequence[int], culprit: int, error: SCIMError) -> None:
        for number in numbers:
            operation = self.operations[number]
            if number != culprit:
                error_here: SCIMError = Conflict(
                    "An operation with which this one refers to the other and back failed, so "
                    "that neither was carried out."
                )
            else:
                error_here = error
            self.errors += 1
            self.results[number] = {
                **_naming(operation),
                **self._location(operation),
                "status": str(error_here.status),
                "response": error_here.body(),
            }
            resource, id = locate(operation.path, self.whole.state)
            journal.note_refusal(
                self.whole.state, self.whole.caller, _as_sent(operation), resource, id, error_here
            )

    def _location(self, operation: BulkOperation) -> dict[str, str]:
        """RFC 7644 §3.7: the location is REQUIRED, but for a POST that failed."""
        if operation.method in ("", "POST") or not operation.path:
            return {}
        return {"location": f"{self.whole.state.provisioning_url}{operation.path}"}


def _as_sent(operation: BulkOperation) -> Message:
    """An operation that failed, for the log: it may be one that could not even be tried."""
    # What is no verb may be anything that somebody wrote.
    method = operation.method if operation.method in _VERBS else "…"
    return Message(method, {}, lambda: operation.data, address=operation.path)


def _naming(operation: BulkOperation) -> dict[str, str]:
    named = {"method": operation.method, "bulkId": operation.bulk_id}
    return {key: value for key, value in named.items() if value}

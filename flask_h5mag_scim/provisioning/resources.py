"""How a SCIM resource lives in one of the host's models: what users and groups share.

Every statement on a host's model starts from :meth:`Resource.select`, which carries the
account. Nothing here commits.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, ClassVar, NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session

from ..protocol import messages
from ..protocol.errors import Conflict, InvalidValue, NotFound, SCIMError, Uniqueness
from ..protocol.patch import Operation, apply
from ..protocol.schemas import Table, Target
from ..reasons import Reason
from .advice import Advice
from .expressions import Compiler, Related, Shape
from .mapping import AttributeMap, AttributeRow, Values, integer_bound
from .membership import BATCH
from .rows import fetch
from .search import ACCOUNT as _ACCOUNT
from .search import Page, Search

#: The column of a row that counts the changes of a group's members.
REVISION = "scim_revision"

_KEY = "scim_key"


@dataclass
class Change:
    """What one request did; log, signal and answer are made from it."""

    kind: str
    obj: Any
    id: str
    paths: list[str] = field(default_factory=list)
    #: What each attribute was and what it is now; members are not among them.
    values: Values = field(default_factory=dict)
    ignored: list[str] = field(default_factory=list)
    #: What became of ``active``: ``None`` where it did not change.
    active: bool | None = None
    #: Whether a user was the application's own until now.
    is_adopted: bool = False
    #: Who came into a group and who left it: before and after, by what is told.
    members: dict[str, list[Any]] = field(default_factory=dict)


class Reference(NamedTuple):
    """What a resource says of another that it is related to."""

    id: str
    display: str | None
    type: str
    #: Where it is found.
    endpoint: str


class _Entered(sa.Join):
    """A join that begins with its left side, an association table.

    Without statistics (nobody runs ANALYZE on SQLite) SQLite begins with the account's
    condition, and so reads all groups of an account for those of one user: 4 ms more a
    request with 2,000 groups. CROSS JOIN is its way to be told; others know by themselves.
    """

    inherit_cache = True


@compiles(_Entered, "sqlite")
def _entered_on_sqlite(join: _Entered, compiler: Any, **options: Any) -> str:
    text: str = compiler.visit_join(join, **options)
    return text.replace(" JOIN ", " CROSS JOIN ", 1)


class Resource:
    """One resource type on one model of the host.

    :param model: the host's mapped class; its primary key is one column.
    :param account: the name of the model's attribute that holds the account's key.
    :param attributes: the map, SCIM path to the name of a column or hybrid property;
        ``"*"`` names a JSON column that keeps everything else.
    :raises ValueError: when the map is wrong.

    Subclass it to override :meth:`select`, :meth:`new` and :meth:`delete`.
    """

    table: ClassVar[Table]
    endpoint: ClassVar[str]
    #: Paths without which there is no resource.
    needed: ClassVar[tuple[str, ...]]
    #: Paths that are unique within an account.
    unique: ClassVar[tuple[str, ...]]
    #: The attribute that association tables answer.
    relation: ClassVar[str]
    #: Makes a column with how often the members of a group (a key's column) have changed;
    #: ``None`` for what has no members.
    revision: Callable[[Any], Any] | None = None

    def __init__(self, model: type[Any], *, account: str, attributes: Mapping[str, str]) -> None:
        self.model = model
        mapper: Any = sa.inspect(model)
        if len(mapper.primary_key) != 1:
            raise TypeError(
                f"{model.__name__} has a primary key of several columns; flask_h5mag_scim needs "
                "one, because a SCIM id is one text."
            )
        if not isinstance(account, str) or account not in mapper.columns:
            raise ValueError(
                f"{model.__name__} has no column attribute {account!r}. Let account= be the name "
                "of the one with the account's key, like 'account_id'."
            )
        self.account = account
        self._key_column = mapper.primary_key[0]
        self._key_name = str(mapper.get_property_by_column(self._key_column).key)
        self.map = AttributeMap(model, self.table, attributes)
        for entry in self.map.entries:
            if entry.writable and entry.attribute in (account, self._key_name):
                raise ValueError(
                    f"The attribute map of {model.__name__} lets clients write "
                    f"{entry.attribute!r}, by which the application tells accounts or rows apart."
                )
        for path in self.map.missing(self.needed):
            raise ValueError(
                f"The attribute map of {model.__name__} must map {path!r} to an attribute."
            )

    @property
    def name(self) -> str:
        """The resource type's name: ``User`` or ``Group``."""
        return self.table.schema.__name__

    @property
    def other(self) -> Resource:
        """The resource on the other side of the association table."""
        raise NotImplementedError

    def related_to(
        self, session: Session, account_id: Any, keys: Sequence[Any]
    ) -> dict[Any, list[Reference]]:
        """For each of ``keys``, what is on the other side: one statement, however many."""
        found: dict[Any, list[Reference]] = {}
        parameters = {_ACCOUNT: account_id, "scim_keys": list(keys)}
        reference = self._reference
        row: Any
        for row in fetch(session, self.other.model, self._related, parameters):
            found.setdefault(row[0], []).append(reference(*row[1:]))
        return found

    def _reference(self, key: Any, name: str | None, about: Any = None) -> Reference:
        """A row of :meth:`_related` after its first column."""
        raise NotImplementedError

    @cached_property
    def _related(self) -> Any:
        return self._relations()

    def _relations(self) -> Any:
        """The statement of :meth:`related_to`: one of "scim_keys", a key and a name beside
        it, and what else :meth:`_reference` takes."""
        other = self.other
        mine, theirs = self.sides
        # By the association's column, so that its index, which is in this order, saves sorting.
        return self._beside(other, mine, theirs, other.key_attribute, other.display).order_by(
            theirs
        )

    def _beside(self, other: Resource, mine: Any, theirs: Any, *columns: Any) -> sa.Select[Any]:
        """The rows of an association of which one column is among "scim_keys", and the other
        a key of ``other`` in this account."""
        found = other._of_account
        table: Any = sa.inspect(other.model).local_table
        if found.get_final_froms() == [table]:
            found = found.select_from(_Entered(theirs.table, table, theirs == other._key_column))
        else:
            # The host's own select() joins other tables; it stays as it is.
            found = found.where(theirs == other.key_attribute)
        return found.with_only_columns(mine, *columns, maintain_column_froms=True).where(
            mine.in_(sa.bindparam("scim_keys", expanding=True))
        )

    @property
    def sides(self) -> tuple[Any, Any]:
        """The association's column for this resource, and that for the other."""
        raise NotImplementedError

    @cached_property
    def display(self) -> Any:
        """What the resource is called where others refer to it."""
        entry = self.map.find("displayName") or self.map.find("userName")
        assert entry is not None  # noqa: S101, one of the two is needed
        return getattr(self.model, entry.attribute)

    def keeps(self, target: Target) -> bool:
        """Whether something is stored and returned; what ``/Schemas`` publishes."""
        return (target.urn is None and target.name == self.relation) or self.map.keeps(target)

    def canonical_values(self, target: Target) -> Sequence[str] | None:
        """The values that ``/Schemas`` suggests for an attribute, where the host's map knows
        better than the RFC."""
        return self.map.canonical_values(target)

    def kept_extensions(self) -> list[str]:
        """The schema extensions of which something is kept."""
        return [
            urn
            for urn, names in self.table.extensions.items()
            if any(
                self.map.keeps(Target(name, urn=urn, field=field)) for name, field in names.items()
            )
        ]

    # What a host may override

    def select(self, account_id: Any) -> sa.Select[Any]:
        """The account's resources: every look-up, list and search starts from here.

        :param account_id: the account's key as a bound value; compare columns with it.
        """
        return sa.select(self.model).where(getattr(self.model, self.account) == account_id)

    def new(self, account: Any, account_id: Any) -> Any:
        """An entity for a resource that is being created; its mapped attributes come after.

        :param account: the account's row.
        :param account_id: its key.
        """
        obj = self.model()
        setattr(obj, self.account, account_id)
        return obj

    def delete(self, session: Session, obj: Any) -> None:
        """Delete an entity, what refers to it first. Override it to hand things over, and
        call this at the end; do not commit."""
        session.delete(obj)

    def memberships(self, key: Any) -> list[tuple[sa.Column[Any], Any]]:
        """The associations that make the resource with a key a member: for each the column
        of the groups, and the condition on its rows."""
        return []

    # Keys

    @cached_property
    def key_attribute(self) -> Any:
        """The model's primary key, as it stands in statements."""
        return getattr(self.model, self._key_name)

    def key(self, obj: Any) -> Any:
        """The primary key of an entity or of a row of :meth:`columns`."""
        return getattr(obj, self._key_name)

    def keys_of(self, sources: Sequence[Any]) -> list[Any]:
        """:meth:`key` of several entities, or of several rows of one statement."""
        if len(sources) < 2 or not isinstance(sources[0], sa.Row):
            return [self.key(each) for each in sources]
        place = sources[0]._fields.index(self._key_name)
        return [row[place] for row in sources]

    def id(self, obj: Any) -> str:
        """The SCIM id."""
        return str(self.key(obj))

    def parse_id(self, text: Any) -> Any:
        """An id as the key's type; ``None`` for what can be no id here."""
        try:
            kind = self._key_column.type.python_type
        except NotImplementedError:
            kind = str
        if not isinstance(text, str) or len(text) > 255 or "\x00" in text:
            return None
        try:
            key = kind(text)
        except (ValueError, TypeError):
            return None
        kept = self._key_column.type
        if isinstance(kept, sa.Integer) and abs(key) >= integer_bound(kept):
            return None
        # int(" 5 ") and UUID("{…}") are lenient; one resource has one id.
        spelled = str(key)
        same = spelled == (text.lower() if kind is uuid.UUID else text)
        return key if same else None

    def value(self, obj: Any, path: str) -> Any:
        """The value that an entity has for a mapped SCIM path; ``None`` without one."""
        entry = self.map.find(path)
        return None if entry is None else getattr(obj, entry.attribute)

    def rows(self) -> list[AttributeRow]:
        """The mapped attributes as the page shows them."""
        return self.map.rows(self.unique)

    # Statements, built once

    @cached_property
    def _of_account(self) -> sa.Select[Any]:
        # An order of the host's own would come before the one that a page is found by.
        return self.select(sa.bindparam(_ACCOUNT)).order_by(None)

    @cached_property
    def columns(self) -> list[Any]:
        """What a list reads: the key, the map's columns, and for groups the revision."""
        mapped = self.map.columns()
        names = {column.key for column in mapped}
        key = [] if self._key_name in names else [self.key_attribute.label(self._key_name)]
        counted = [] if self.revision is None else [self.revision(self.key_attribute)]
        return [*key, *mapped, *(column.label(REVISION) for column in counted)]

    @cached_property
    def _row_by_key(self) -> sa.Select[Any]:
        return self._of_account.with_only_columns(*self.columns, maintain_column_froms=True).where(
            self.key_attribute == sa.bindparam(_KEY)
        )

    @cached_property
    def _entity_by_key(self) -> sa.Select[Any]:
        return self._of_account.where(self.key_attribute == sa.bindparam(_KEY)).execution_options(
            populate_existing=True
        )

    @cached_property
    def _entity_to_change(self) -> sa.Select[Any]:
        # Its key stays, so that others may refer to it meanwhile: two groups that are put
        # into each other would else wait for each other.
        return self._entity_by_key.with_for_update(of=self.model, key_share=True)

    @cached_property
    def _entity_to_delete(self) -> sa.Select[Any]:
        return self._entity_by_key.with_for_update(of=self.model)

    @property
    def keys(self) -> sa.Select[Any]:
        """The keys of the account's resources, for a statement on something else."""
        return self._of_account.with_only_columns(
            self.key_attribute, maintain_column_froms=True
        ).correlate(None)

    @cached_property
    def compiler(self) -> Compiler:
        """Filters on this resource."""
        return Compiler(self.map, self.key_attribute, self.parse_id, self.related())

    def related(self) -> Related:
        """Attributes that are kept in association tables, for filters."""
        return {}

    def known(
        self, session: Session, account_id: Any, keys: Sequence[Any], column: Any = None
    ) -> set[Any]:
        """Those of ``keys`` that resources of this account have.

        :param column: the column that is meant, where it is not the primary key.
        """
        statement = self._having(self._key_column if column is None else column)
        found: set[Any] = set()
        for start in range(0, len(keys), BATCH):
            parameters = {_ACCOUNT: account_id, "scim_keys": keys[start : start + BATCH]}
            found |= set(fetch(session, self.model, statement, parameters).scalars())
        return found

    @lru_cache(maxsize=8)  # noqa: B019, a resource lives as long as its process
    def _having(self, column: sa.Column[Any]) -> sa.Select[Any]:
        return self._of_account.with_only_columns(column, maintain_column_froms=True).where(
            column.in_(sa.bindparam("scim_keys", expanding=True))
        )

    def found(self, shape: Shape | None) -> sa.Select[Any]:
        """The account's resources that a filter's shape finds; all of them without."""
        if shape is None:
            return self._of_account
        return self._of_account.where(self.compiler.where(shape))

    @cached_property
    def _rows_by_key(self) -> sa.Select[Any]:
        return self._of_account.with_only_columns(*self.columns, maintain_column_froms=True).where(
            self.key_attribute.in_(sa.bindparam("scim_keys", expanding=True))
        )

    # Reading

    def read(self, session: Session, account_id: Any, id: str) -> Any:
        """One resource as a row.

        :raises NotFound: also for another account's id.
        """
        key = self.parse_id(id)
        row = None
        if key is not None:
            parameters = {_ACCOUNT: account_id, _KEY: key}
            row = fetch(session, self.model, self._row_by_key, parameters).one_or_none()
        if row is None:
            raise self.not_found(id)
        return row

    def get(self, session: Session, account_id: Any, id: str, *, deleting: bool = False) -> Any:
        """One resource as an entity, locked until the transaction ends.

        :param deleting: whether nobody may refer to it any more either.
        :raises NotFound: also for another account's id.
        """
        key = self.parse_id(id)
        obj = None
        if key is not None:
            parameters = {_ACCOUNT: account_id, _KEY: key}
            statement = self._entity_to_delete if deleting else self._entity_to_change
            obj = session.scalar(statement, parameters)
        if obj is None:
            raise self.not_found(id)
        return obj

    def not_found(self, id: str) -> NotFound:
        """The error for an id that this account does not have."""
        shown = repr(id[:100])
        return NotFound(
            f"There is no {self.name} with the id {shown} in this account.",
            values=[shown],
            reason=Reason.GONE,
        )

    def names(self, session: Session, account_id: Any, ids: Iterable[str]) -> dict[str, str]:
        """What resources are called now, by id; who is gone is left out. One statement."""
        keys = [key for key in map(self.parse_id, ids) if key is not None]
        if not keys:
            return {}
        parameters = {_ACCOUNT: account_id, "scim_keys": keys}
        rows = session.execute(self._names, parameters)
        return {str(key): name for key, name in rows if name}

    @cached_property
    def _names(self) -> sa.Select[Any]:
        return self._of_account.with_only_columns(
            self.key_attribute, self.display, maintain_column_froms=True
        ).where(self.key_attribute.in_(sa.bindparam("scim_keys", expanding=True)))

    def rows_by_key(self, session: Session, account_id: Any, keys: Sequence[Any]) -> Sequence[Any]:
        """The rows that have these keys, in no order; who is gone is left out. One statement."""
        parameters = {_ACCOUNT: account_id, "scim_keys": keys}
        return fetch(session, self.model, self._rows_by_key, parameters).all()

    @cached_property
    def lists(self) -> Search:
        """Lists of this resource type alone."""
        return Search(self)

    def search(self, session: Session, account_id: Any, query: messages.Query) -> Page:
        """The page of the resources that a query finds; see :meth:`Search.page`."""
        return self.lists.page(session, account_id, query)

    def find_all(
        self,
        session: Session,
        account_id: Any,
        path: str,
        value: str,
        *,
        limit: int,
        ignore_case: bool = False,
    ) -> list[Any]:
        """The account's entities whose mapped attribute has a value.

        :param ignore_case: take another spelling for the same. All lower and all upper case,
            the usual ones, are looked up by the plain index; the rest read the account.
        """
        entry = self.map.find(path)
        if entry is None:
            return []
        column: Any = getattr(self.model, entry.attribute)
        try:
            wanted = entry.for_model(value)
        except InvalidValue:
            return []
        conditions = [column == wanted]
        if ignore_case and entry.convert is None:
            usual = [value.lower(), value.upper()]
            conditions = [column.in_(usual), sa.func.lower(column) == sa.func.lower(wanted)]
        found: list[Any] = []
        for condition in conditions:
            statement = self._of_account.where(condition).limit(limit)
            found = found or list(session.scalars(statement, {_ACCOUNT: account_id}))
        return found

    # Writing

    def create(
        self, session: Session, account: Any, account_id: Any, body: Mapping[str, Any]
    ) -> Change:
        """Make a resource of a POST's body.

        :raises marshmallow.ValidationError: when the body is not valid.
        :raises Uniqueness: when a name is taken.
        """
        document = self.table.load(body)
        related = self._take_related(document)
        self._settle(document, {})
        obj = self.new(account, account_id)
        values, ignored = self.map.write(obj, {}, document)
        paths = list(values)
        self._require_own(session, account_id, obj, paths)
        self._require_unique(session, account_id, document, self.unique, None)
        session.add(obj)
        self._flush(session)
        change = Change("created", obj, self.id(obj), paths, values, ignored)
        self._set_related(session, account_id, change, related)
        return change

    def replace(
        self, session: Session, account_id: Any, obj: Any, body: Mapping[str, Any]
    ) -> Change:
        """Make a resource that :meth:`get` locked what a PUT's body says (RFC 7644 §3.5.1).

        An absent ``active`` or ``externalId`` keeps its value, and so do absent members and
        an absent role; any other attribute that is absent is cleared.
        """
        after = self.table.load(body)
        related = self._take_related(after)
        before = self.map.document(obj)
        for name in ("active", "externalId"):
            if name in before:
                after.setdefault(name, before[name])
        self._settle(after, before)
        change = self._update(session, account_id, obj, before, after)
        self._set_related(session, account_id, change, related)
        return change

    def patch(
        self,
        session: Session,
        account_id: Any,
        obj: Any,
        operations: list[Operation],
    ) -> Change:
        """Change a resource that :meth:`get` locked by a PATCH's operations."""
        before = self.map.document(obj)
        operations, related = self._split_related(operations)
        after, ignored = self._apply(before, operations)
        change = self._update(session, account_id, obj, before, after)
        change.ignored = list(dict.fromkeys([*ignored, *change.ignored]))
        self._patch_related(session, account_id, change, related)
        return change

    def remove(self, session: Session, obj: Any) -> Change:
        """Delete a resource that :meth:`get` locked.

        :raises Conflict: when something of the host's still depends on it.
        """
        before = self.map.document(obj)
        self._require_allowed(session, getattr(obj, self.account), obj, before, None)
        gone = {path: (value, None) for path, value in self.map.values(before).items()}
        change = Change("deleted", obj, self.id(obj), values=gone)
        with self._integrity(deleting=True):
            self.delete(session, obj)
            session.flush()
        return change

    def _update(
        self,
        session: Session,
        account_id: Any,
        obj: Any,
        before: dict[str, Any],
        after: dict[str, Any],
    ) -> Change:
        for name in self.needed:
            if name in before and name not in after and name != "externalId":
                raise InvalidValue(f"{name} cannot be removed.", path=name)
        self._require_allowed(session, account_id, obj, before, after)
        changed = [path for path in self.unique if before.get(path) != after.get(path)]
        if changed:
            self._require_unique(session, account_id, after, changed, self.key(obj))
        values, ignored = self.map.write(obj, before, after)
        paths = list(values)
        self._require_own(session, account_id, obj, paths)
        self._flush(session)
        change = Change("updated", obj, self.id(obj), paths, values, ignored)
        if "active" in paths:
            change.active = bool(after.get("active"))
        return change

    def _settle(self, document: dict[str, Any], before: dict[str, Any]) -> None:
        """Bring what a POST or PUT sent into the form that is kept.

        :param before: what is there; empty for a new resource.
        """

    def _apply(
        self, before: dict[str, Any], operations: list[Operation]
    ) -> tuple[dict[str, Any], list[str]]:
        """The document after a PATCH's operations, and the paths that were ignored."""
        return apply(before, operations, self.map.keeps)

    def _require_allowed(
        self,
        session: Session,
        account_id: Any,
        obj: Any,
        before: dict[str, Any],
        after: dict[str, Any] | None,
    ) -> None:
        """Refuse a change that is not SCIM's to make; called before anything is written.

        :param obj: the entity, locked and unchanged.
        :param before: the resource as it is.
        :param after: the resource as it would be; ``None`` when it would be deleted.
        :raises Forbidden: with a sentence that says what to do.
        """

    def _require_unique(
        self,
        session: Session,
        account_id: Any,
        document: Mapping[str, Any],
        paths: Iterable[str],
        own_key: Any,
    ) -> None:
        """Say which name is taken, before the database does without saying which.

        The host's unique index decides between two requests at the same moment.
        """
        wanted = tuple(p for p in paths if document.get(p) is not None and self.map.find(p))
        if not wanted:
            return
        parameters: dict[str, Any] = {_ACCOUNT: account_id}
        for path in wanted:
            entry = self.map.find(path)
            assert entry is not None  # noqa: S101, looked for above
            parameters[f"scim_{path}"] = entry.for_model(document[path])
        if own_key is not None:
            parameters[_KEY] = own_key
        statement = self._taken(wanted, own_key is not None)
        found = fetch(session, self.model, statement, parameters).one()
        for path, holder in zip(wanted, found, strict=True):
            if holder is not None:
                shown = repr(str(document[path])[:200])
                raise Uniqueness(
                    f"{path} {shown} belongs to another {self.name} of this account already.",
                    path=path,
                    values=[shown],
                    holder_id=str(holder),
                )

    @lru_cache(maxsize=32)  # noqa: B019, a resource lives as long as its process
    def _taken(self, paths: tuple[str, ...], besides_own: bool) -> sa.Select[Any]:
        columns = []
        for path in paths:
            entry = self.map.find(path)
            assert entry is not None  # noqa: S101, the caller asked
            column: Any = getattr(self.model, entry.attribute)
            wanted: Any = sa.bindparam(f"scim_{path}")
            if entry.convert is None:
                wanted = sa.bindparam(f"scim_{path}", type_=sa.String())
            if entry.ignores_case:
                column, wanted = sa.func.lower(column), sa.func.lower(wanted)
            found = self._of_account.with_only_columns(
                self.key_attribute, maintain_column_froms=True
            ).where(column == wanted)
            if besides_own:
                found = found.where(self.key_attribute != sa.bindparam(_KEY))
            columns.append(found.limit(1).scalar_subquery())
        statement: Any = sa.select(*columns)
        return statement  # type: ignore[no-any-return]  # as many columns as paths

    def _flush(self, session: Session) -> None:
        with self._integrity():
            session.flush()

    @contextmanager
    def _integrity(self, *, deleting: bool = False) -> Iterator[None]:
        """What the database refuses, in SCIM's words."""
        try:
            yield
        except sa.exc.IntegrityError as error:
            raise self._refused(_code(error), deleting) from error
        except sa.exc.OperationalError as error:
            # PostgreSQL's "program limit exceeded": no index takes a name of thousands of
            # letters. Anything else is the database's own trouble.
            if not _code(error).startswith("54"):
                raise
            raise _does_not_fit() from error
        except sa.exc.DataError as error:
            raise _does_not_fit() from error
        except sa.exc.DBAPIError:
            raise
        except sa.exc.StatementError as error:
            # The column's own type did not take the value.
            raise _does_not_fit() from error

    def _refused(self, code: str, deleting: bool) -> SCIMError:
        if code in ("23503", "SQLITE_CONSTRAINT_FOREIGNKEY"):
            if not deleting:
                return InvalidValue("One of the values refers to something that is not there.")
            return Conflict(
                f"Something in the application still refers to this {self.name}. Its developers "
                f"can decide what becomes of it in {type(self).__name__}.delete()."
            )
        if code in ("23502", "23514", "SQLITE_CONSTRAINT_NOTNULL", "SQLITE_CONSTRAINT_CHECK"):
            return InvalidValue("The application does not accept one of the values, or misses one.")
        names = " or ".join(self.unique)
        return Uniqueness(
            f"Another {self.name} of this account has the same {names}, or one of the other "
            "values that must be unique."
        )

    def _require_own(
        self, session: Session, account_id: Any, obj: Any, paths: Sequence[str]
    ) -> None:
        """Refuse what was written into ``paths`` if it refers to another account's row."""

    # What is kept in association tables

    def _take_related(self, document: dict[str, Any]) -> Any:
        return None

    def _set_related(self, session: Session, account_id: Any, change: Change, value: Any) -> None:
        pass

    def _split_related(
        self, operations: list[Operation]
    ) -> tuple[list[Operation], list[Operation]]:
        return operations, []

    def _patch_related(
        self, session: Session, account_id: Any, change: Change, operations: list[Operation]
    ) -> None:
        pass

    # Advice at start

    def advice(self) -> list[Advice]:
        """What the host should do; empty when all is well."""
        return [advice for path in self.unique if (advice := self.unique_advice(path)) is not None]

    def unique_advice(self, path: str) -> Advice | None:
        """What is missing where the model does not keep the values of a path unique."""
        entry = self.map.find(path)
        if entry is None or self._has_unique_index(entry.attribute):
            return None
        index = self.index(entry.attribute, lowered=entry.ignores_case, unique=True)
        return Advice(
            f"{self.model.__name__} has no unique index on {self.account} and {entry.attribute}: "
            f"two requests at once could create the same {path} twice.",
            f"Add {index}.",
        )

    def index(self, attribute: str, *, lowered: bool, unique: bool = False) -> str | None:
        """The line of the model that makes an index by which an account's resources are found;
        ``None`` for a hybrid, whose expression only the host knows.

        :param lowered: whether values are compared in lower case.
        """
        columns = sa.inspect(self.model).columns
        if attribute not in columns:
            return None
        table, column = columns[attribute].table.name, columns[attribute].name
        parts = [
            repr(columns[self.account].name),
            f"sa.func.lower(sa.text({column!r}))" if lowered else repr(column),
            # With the key at its end, a page needs no sorting.
            "unique=True" if unique else repr(self._key_column.name),
        ]
        return f"sa.Index('{'uq' if unique else 'ix'}_{table}_{column}', {', '.join(parts)})"

    def _has_unique_index(self, attribute: str) -> bool:
        mapper: Any = sa.inspect(self.model)
        if attribute not in mapper.columns:
            return True  # a hybrid: only the host knows
        column = mapper.columns[attribute]
        table = column.table
        if column.unique:
            return True
        texts = [
            " ".join(str(expression) for expression in index.expressions)
            for index in table.indexes
            if index.unique
        ]
        texts += [
            " ".join(str(part) for part in constraint.columns)
            for constraint in table.constraints
            if isinstance(constraint, sa.UniqueConstraint)
        ]
        name = re.compile(rf"\b{re.escape(column.name)}\b")
        return any(name.search(text) for text in texts)


def _code(error: sa.exc.DBAPIError) -> str:
    # psycopg names the case by SQLSTATE, sqlite3 by its own error name.
    original: Any = error.orig
    return getattr(original, "sqlstate", None) or getattr(original, "sqlite_errorname", "") or ""


def _does_not_fit() -> InvalidValue:
    return InvalidValue("A value does not fit the place where it is kept: it may be too long.")

"""The attribute table: RFC 7643's User, Group and EnterpriseUser.

A class a schema, a field an attribute, in the RFC's spelling. The field's class gives the
SCIM type, ``List`` gives multiValued, ``Nested`` complex; ``dump_only`` is readOnly and
``load_only`` writeOnly. The schemas are strict: what Microsoft bends is straightened in
:mod:`.entra` before it gets here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property, lru_cache
from typing import Any, ClassVar

from marshmallow import INCLUDE, Schema, ValidationError, fields, validate

from .errors import InvalidValue, literals
from .paths import AttrExp, Filter, LogExp, Not, Path, ValuePath

CORE_USER = "urn:ietf:params:scim:schemas:core:2.0:User"
CORE_GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
ENTERPRISE_USER = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"

#: The end of a schema's URN: a version and the name of a resource, as in ``:2.0:User``.
_SCHEMA_URN = re.compile(r"urn:.+:\d+(\.\d+)*:[A-Za-z]+", re.IGNORECASE)

_UNKNOWN: Any = object()

#: No person has more of anything; comparing each with each must stay cheap.
MAX_ELEMENTS = 1000


class String(fields.String):
    """SCIM ``string``; case-insensitive unless ``caseExact`` (RFC 7643 §2.3.1)."""

    scim_type: ClassVar[str] = "string"


class Boolean(fields.Field[bool]):
    """SCIM ``boolean``: true or false, nothing that merely looks like it."""

    scim_type: ClassVar[str] = "boolean"
    default_error_messages = {"invalid": "Not true or false."}  # noqa: RUF012, marshmallow's own

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> bool:
        if not isinstance(value, bool):
            raise self.make_error("invalid")
        return value


class Reference(String):
    """SCIM ``reference``: a URI. Its form is not checked; validators send random words."""

    scim_type = "reference"


class Binary(String):
    """SCIM ``binary``: base64."""

    scim_type = "binary"


class DateTime(String):
    """SCIM ``dateTime``: an xsd:dateTime text, kept as the text."""

    scim_type = "dateTime"

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> str:
        text: str = super()._deserialize(value, attr, data, **kwargs)
        try:
            datetime.fromisoformat(text)
        except ValueError:
            raise ValidationError("Not a date and time like 2026-01-31T09:30:00Z.") from None
        return text


class Complex(fields.Nested):
    """SCIM ``complex``: sub-attributes, from a dictionary of fields."""

    scim_type: ClassVar[str] = "complex"

    def __init__(self, sub_attributes: dict[str, fields.Field[Any]], **options: Any) -> None:
        self.sub_attributes = sub_attributes
        self.needed = _needed(sub_attributes)
        schema = Schema.from_dict(dict(sub_attributes))
        super().__init__(schema(unknown=INCLUDE), unknown=INCLUDE, **options)


def _needed(attributes: Mapping[str, fields.Field[Any]]) -> frozenset[str]:
    return frozenset(name for name, field in attributes.items() if field.required)


def _about(description: str, **characteristics: Any) -> dict[str, Any]:
    return {"description": description, **characteristics}


def _text(description: str, **options: Any) -> String:
    characteristics = {
        key: options.pop(key)
        for key in ("caseExact", "uniqueness", "canonicalValues", "returned")
        if key in options
    }
    return String(metadata=_about(description, **characteristics), **options)


def _multi_valued(
    description: str, value: fields.Field[Any], types: tuple[str, ...] = (), **more: Any
) -> fields.List[Any]:
    """The default sub-attributes of RFC 7643 §2.4 around ``value``."""
    type_options = {"canonicalValues": list(types)} if types else {}
    return fields.List(
        Complex(
            {
                "value": value,
                "display": _text("A name to show for the value."),
                "type": _text("What the value is for.", **type_options),
                "primary": Boolean(metadata=_about("Whether this is the preferred value.")),
                **more,
            }
        ),
        metadata=_about(description),
    )


_WORK_HOME_OTHER = ("work", "home", "other")


class Resource(Schema):
    """The common attributes of RFC 7643 §3.1. Attributes nobody knows are let through:
    the host's map decides what is kept."""

    urn: ClassVar[str]
    description: ClassVar[str]
    extensions: ClassVar[Mapping[str, type[Extension]]] = {}

    class Meta:
        unknown = INCLUDE

    id = _text(
        "The server's name for the resource.",
        dump_only=True,
        caseExact=True,
        uniqueness="server",
        returned="always",
    )
    externalId = _text("The client's name for the resource.", caseExact=True)
    meta = Complex(
        {
            "resourceType": _text("The resource's type.", caseExact=True, dump_only=True),
            "created": DateTime(dump_only=True, metadata=_about("When it was created.")),
            "lastModified": DateTime(dump_only=True, metadata=_about("When it last changed.")),
            "location": Reference(
                dump_only=True, metadata=_about("Its address.", referenceTypes=["uri"])
            ),
        },
        dump_only=True,
        metadata=_about("What the server knows about the resource."),
    )


class Extension(Schema):
    """The base of a schema extension (RFC 7643 §3.3)."""

    urn: ClassVar[str]
    description: ClassVar[str]

    class Meta:
        unknown = INCLUDE


class EnterpriseUser(Extension):
    """RFC 7643 §4.3."""

    urn = ENTERPRISE_USER
    description = "Enterprise User"

    employeeNumber = _text("A number or code of the person within the organization.")
    costCenter = _text("The name of a cost center.")
    organization = _text("The name of an organization.")
    division = _text("The name of a division.")
    department = _text("The name of a department.")
    manager = Complex(
        {
            "value": _text("The id of the manager's User resource."),
            "$ref": Reference(metadata=_about("Its address.", referenceTypes=["User"])),
            "displayName": _text("The manager's name to show.", dump_only=True),
        },
        metadata=_about("The person's manager."),
    )


class User(Resource):
    """RFC 7643 §4.1."""

    urn = CORE_USER
    description = "User Account"
    extensions = {ENTERPRISE_USER: EnterpriseUser}  # noqa: RUF012, read-only by its type

    userName = _text(
        "The name the person signs in with.",
        required=True,
        uniqueness="server",
        validate=validate.Length(min=1),
    )
    name = Complex(
        {
            "formatted": _text("The full name."),
            "familyName": _text("The family name."),
            "givenName": _text("The given name."),
            "middleName": _text("The middle name."),
            "honorificPrefix": _text("A title in front of the name."),
            "honorificSuffix": _text("A suffix after the name."),
        },
        metadata=_about("The parts of the person's name."),
    )
    displayName = _text("The name to show.")
    nickName = _text("A casual name.")
    profileUrl = Reference(
        metadata=_about("The address of a profile.", referenceTypes=["external"])
    )
    title = _text("The person's title, like Vice President.")
    userType = _text("The person's relation to the organization, like Employee.")
    preferredLanguage = _text("The preferred language, like nl-NL.")
    locale = _text("The locale for dates and numbers, like nl-NL.")
    timezone = _text("The time zone, like Europe/Amsterdam.")
    active = Boolean(metadata=_about("Whether the person may sign in."))
    password = _text("A password in clear text.", load_only=True, returned="never", caseExact=True)
    emails = _multi_valued("E-mail addresses.", _text("The address."), _WORK_HOME_OTHER)
    phoneNumbers = _multi_valued(
        "Phone numbers.", _text("The number."), ("work", "home", "mobile", "fax", "pager", "other")
    )
    ims = _multi_valued("Instant messaging addresses.", _text("The address."))
    photos = _multi_valued(
        "Pictures.",
        Reference(metadata=_about("The picture's address.", referenceTypes=["external"])),
        ("photo", "thumbnail"),
    )
    addresses = fields.List(
        Complex(
            {
                "formatted": _text("The whole address."),
                "streetAddress": _text("Street and number."),
                "locality": _text("City."),
                "region": _text("State or region."),
                "postalCode": _text("Postal code."),
                "country": _text("Country."),
                "type": _text("What the address is for.", canonicalValues=list(_WORK_HOME_OTHER)),
                "primary": Boolean(metadata=_about("Whether this is the preferred address.")),
            }
        ),
        metadata=_about("Postal addresses."),
    )
    groups = fields.List(
        Complex(
            {
                "value": _text("The id of the group.", dump_only=True),
                "$ref": Reference(
                    dump_only=True, metadata=_about("Its address.", referenceTypes=["Group"])
                ),
                "display": _text("The group's name.", dump_only=True),
                "type": _text(
                    "How the person belongs to it.",
                    dump_only=True,
                    canonicalValues=["direct", "indirect"],
                ),
            }
        ),
        dump_only=True,
        metadata=_about("The groups the person belongs to."),
    )
    entitlements = _multi_valued("Things the person has.", _text("The entitlement."))
    roles = _multi_valued("Roles of the person.", _text("The role."))
    x509Certificates = _multi_valued(
        "Certificates.", Binary(metadata=_about("The certificate, DER in base64."))
    )


class Group(Resource):
    """RFC 7643 §4.2. ``displayName`` is unique here, because Entra matches groups by it."""

    urn = CORE_GROUP
    description = "Group"

    displayName = _text(
        "The group's name.", required=True, uniqueness="server", validate=validate.Length(min=1)
    )
    members = fields.List(
        Complex(
            {
                "value": _text("The id of the member.", required=True),
                "$ref": Reference(metadata=_about("Its address.", referenceTypes=["User"])),
                "type": _text("The kind of member.", canonicalValues=["User"]),
                "display": _text("The member's name.", dump_only=True),
            }
        ),
        metadata=_about("The members of the group.", unbounded=True),
    )


@dataclass(frozen=True)
class Target:
    """Where a path leads: canonical names, and the fields that say what may stand there.

    ``field`` is ``None`` for an attribute that no schema here knows (a custom one);
    ``container`` is set for a path that names a whole extension.
    """

    name: str
    sub: str | None = None
    urn: str | None = None
    filter: Filter | None = None
    field: fields.Field[Any] | None = None
    sub_field: fields.Field[Any] | None = None
    container: bool = False

    @property
    def path(self) -> Path:
        """The same in the RFC's spelling; the core schema's URN is left out."""
        return Path(self.name, self.sub, self.urn, self.filter)

    @cached_property
    def text(self) -> str:
        """The path as people read it."""
        return self.urn or "" if self.container else str(self.path)

    @property
    def multi_valued(self) -> bool:
        """Whether the attribute holds a list."""
        return isinstance(self.field, fields.List)

    @property
    def element(self) -> fields.Field[Any] | None:
        """The attribute's field, or that of one of its elements."""
        return self.field.inner if isinstance(self.field, fields.List) else self.field

    @property
    def leaf(self) -> fields.Field[Any] | None:
        """The field of the value the path ends at; ``None`` for one nobody knows."""
        return self.sub_field if self.sub else self.element

    @property
    def read_only(self) -> bool:
        """Whether RFC 7643 keeps clients from writing here."""
        return any(part is not None and part.dump_only for part in (self.field, self.sub_field))


class Table:
    """One resource's attributes, looked up without regard to case."""

    def __init__(self, schema: type[Resource]) -> None:
        self.schema = schema
        self.urn = schema.urn
        self.core: dict[str, fields.Field[Any]] = dict(schema().fields)
        self.extensions = {urn: dict(e().fields) for urn, e in schema.extensions.items()}
        self._loader: Schema = schema()
        self._loaders: dict[str, Schema] = {urn: e() for urn, e in schema.extensions.items()}
        #: Lower-case URN to what a document is keyed by; the core schema's is no key.
        self._urns: dict[str, str | None] = {
            self.urn.lower(): None,
            **{urn.lower(): urn for urn in self.extensions},
        }

    def locate(self, path: Path) -> Target:
        """Where ``path`` leads. The only place that knows that attribute names ignore case
        and that a URN in front names an extension, or the core schema itself (RFC 7644
        §3.10). A path nobody knows comes back with ``field`` ``None``."""
        target = self._locate(path.urn, path.name, path.sub)
        if path.filter is None or target.container:
            return target
        return replace(target, filter=_canonical_filter(path.filter, target.element))

    @lru_cache(maxsize=1024)  # noqa: B019, a table lives as long as its process
    def _locate(self, urn: str | None, name: str, sub: str | None) -> Target:
        if urn is not None:
            whole = f"{urn}:{name}"
            known = self._urns.get(whole.lower(), _UNKNOWN)
            if sub is None and known is not _UNKNOWN:
                return Target("", urn=known or self.urn, container=True)
            container = self._urns.get(urn.lower(), _UNKNOWN)
            if container is _UNKNOWN:
                if sub is None and _SCHEMA_URN.fullmatch(whole):
                    return Target("", urn=whole, container=True)
                return Target(name, sub, urn)
            urn = container
        table = self.core if urn is None else self.extensions[urn]
        name = _spelling(table, name)
        field = table.get(name)
        element = field.inner if isinstance(field, fields.List) else field
        sub_field = None
        if sub is not None and isinstance(element, Complex):
            sub = _spelling(element.sub_attributes, sub)
            sub_field = element.sub_attributes.get(sub)
        return Target(name, sub, urn, field=field, sub_field=sub_field)

    def canonical(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """``body`` in the schemas' spelling and without nulls, which mean "not there"
        (RFC 7643 §2.5). Attributes inside the core schema's own URN are core attributes."""
        document: dict[str, Any] = {}
        for key, value in body.items():
            urn = self._urns.get(key.lower(), _UNKNOWN)
            if urn is _UNKNOWN:
                document |= _respell({key: value}, self.core)
            elif not isinstance(value, dict):
                if value is not None:
                    raise ValidationError({urn or self.urn: ["Not an object."]})
            elif urn is None:
                document |= _respell(value, self.core)
            else:
                document[urn] = _respell(value, self.extensions[urn])
        return document

    def load(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """A POST or PUT body as a valid document.

        Read-only attributes are left out (RFC 7644 §3.3: they "SHALL be ignored").

        :raises marshmallow.ValidationError: when a value does not fit its attribute.
        """
        document = self.canonical(body)
        document.pop("schemas", None)
        parts = {urn: document.pop(urn) for urn in self.extensions if urn in document}
        errors: dict[str, Any] = {}
        loaded = _checked(self._loader, document, "", errors)
        for urn, part in parts.items():
            found = _checked(self._loaders[urn], part, f"{urn}:", errors)
            if found:
                loaded[urn] = found
        if errors:
            raise ValidationError(errors)
        return loaded


def _checked(loader: Schema, part: Any, prefix: str, errors: dict[str, Any]) -> dict[str, Any]:
    writable = {
        name: _writable(value, loader.fields.get(name))
        for name, value in part.items()
        if name not in loader.fields or not loader.fields[name].dump_only
    }
    try:
        found: dict[str, Any] = _loaded(loader, writable)
    except ValidationError as error:
        messages = error.messages_dict
        errors |= {prefix + name: text for name, text in messages.items()}
        return {}
    for name, value in found.items():
        if isinstance(value, list):
            field = loader.fields.get(name)
            if len(value) > MAX_ELEMENTS and not (field and field.metadata.get("unbounded")):
                errors[prefix + name] = [f"More than {MAX_ELEMENTS} values."]
            _leave_one_primary(value)
    return found


def _loaded(loader: Schema, part: dict[str, Any]) -> dict[str, Any]:
    """What the schema makes of ``part``. To go through all of it, marshmallow takes as long as
    the database takes to insert it; what is as most of them are, it would only copy."""
    if _is_plain(part, loader.fields, _needed_of(loader)):
        return part
    loaded: dict[str, Any] = loader.load(part)
    return loaded


@lru_cache(maxsize=16)
def _needed_of(loader: Schema) -> frozenset[str]:
    return _needed(loader.fields)


#: What takes any text, unless it has a validator.
_TEXTS = frozenset({String, Reference, Binary})


def _is_plain(
    part: dict[str, Any], known: Mapping[str, fields.Field[Any]], needed: frozenset[str]
) -> bool:
    """Whether an object is surely valid, and just as its fields would have it."""
    return needed <= part.keys() and all(
        name not in known or _is_taken(value, known[name]) for name, value in part.items()
    )


def _is_taken(value: Any, field: fields.Field[Any]) -> bool:
    """Whether a field would surely take a value as it is. Of anything unusual the answer is no:
    then the field itself is asked, and says what is wrong."""
    kind = type(field)
    if kind in _TEXTS:
        found = type(value) is str
    elif kind is Boolean:
        found = type(value) is bool
    elif isinstance(field, fields.List):
        found = type(value) is list and all(_is_taken(item, field.inner) for item in value)
    elif isinstance(field, Complex):
        found = type(value) is dict and _is_plain(value, field.sub_attributes, field.needed)
    else:
        return False
    return found and (not field.validators or _passes(value, field))


def _passes(value: Any, field: fields.Field[Any]) -> bool:
    try:
        for check in field.validators:
            check(value)
    except ValidationError:
        return False
    return True


def _leave_one_primary(elements: list[Any]) -> None:
    """RFC 7643 §2.4: "true" MUST appear no more than once; the last that says so has it, as
    if they had come one by one (RFC 7644 §3.5.2)."""
    said = [e for e in elements if isinstance(e, dict) and e.get("primary") is True]
    for element in said[:-1]:
        element["primary"] = False


def _writable(value: Any, field: fields.Field[Any] | None) -> Any:
    """``value`` without the sub-attributes that clients may not write."""
    if isinstance(field, fields.List) and isinstance(value, list):
        return [_writable(item, field.inner) for item in value]
    if isinstance(field, Complex) and isinstance(value, dict):
        known = field.sub_attributes
        return {k: v for k, v in value.items() if not (k in known and known[k].dump_only)}
    return value


def _canonical_filter(tree: Filter, element: fields.Field[Any] | None) -> Filter:
    """The filter of a value path with its sub-attributes in the schema's spelling."""
    known = element.sub_attributes if isinstance(element, Complex) else {}
    match tree:
        case AttrExp(path, op, value):
            name = _spelling(known, path.name)
            return AttrExp(Path(name, path.sub, path.urn), op, value)
        case LogExp(op, terms):
            return LogExp(op, tuple(_canonical_filter(term, element) for term in terms))
        case Not(inner):
            return Not(_canonical_filter(inner, element))
        case ValuePath():
            return tree


def deserialize(field: fields.Field[Any] | None, value: Any, path: str) -> Any:
    """One value of a PATCH, checked by the field it is aimed at.

    :raises marshmallow.ValidationError: naming ``path``.
    """
    if field is None:
        return _respell_value(value, None)
    try:
        if isinstance(field, fields.List):
            # A single value for a list is a list of one, as RFC 7644 §3.5.2.1 allows in "add".
            value = value if isinstance(value, list) else [value]
        value = _writable(_respell_value(value, field), field)
        return value if _is_taken(value, field) else field.deserialize(value)
    except ValidationError as error:
        raise ValidationError({path: error.messages}) from None


def _spelling(known: Mapping[str, Any], name: str) -> str:
    if name in known:
        return name
    lower = name.lower()
    return next((each for each in known if each.lower() == lower), name)


def _respell(body: Mapping[str, Any], table: Mapping[str, fields.Field[Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in body.items():
        name = _spelling(table, key)
        cleaned = _respell_value(value, table.get(name))
        if cleaned is not None:
            result[name] = cleaned
    return result


def _respell_value(value: Any, field: fields.Field[Any] | None) -> Any:
    if isinstance(field, fields.List):
        if isinstance(value, list):
            return [_respell_value(item, field.inner) for item in value if item is not None]
        return value
    if isinstance(value, dict):
        known = field.sub_attributes if isinstance(field, Complex) else {}
        return {
            _spelling(known, key): part if key in known else _without_nulls(part)
            for key, part in value.items()
            if part is not None
        }
    return _without_nulls(value) if field is None else value


def _without_nulls(value: Any) -> Any:
    """What no schema knows, without nulls at any depth."""
    if isinstance(value, dict):
        return {key: _without_nulls(part) for key, part in value.items() if part is not None}
    if isinstance(value, list):
        return [_without_nulls(part) for part in value if part is not None]
    return value


def refusal(error: ValidationError) -> InvalidValue:
    """What marshmallow does not let pass, as SCIM's error."""
    keys = error.messages if isinstance(error.messages, dict) else ()
    values = [value for key in keys for value in literals(str(key))]
    return InvalidValue(" ".join(sentences(error.messages)), values=values)


def sentences(messages: Any, path: str = "") -> list[str]:
    """marshmallow's messages as sentences with the path in front."""
    if isinstance(messages, dict):
        found: list[str] = []
        for key, value in messages.items():
            if isinstance(key, int):
                inner = f"{path}[{key}]"
            elif not path or key == "_schema":
                inner = path or ("" if key == "_schema" else key)
            else:
                inner = f"{path}.{key}"
            found += sentences(value, inner)
        return found
    texts = [messages] if isinstance(messages, str) else list(messages)
    return [f"{path}: {text}" if path else str(text) for text in texts]


USER = Table(User)
GROUP = Table(Group)

"""Runs conversations with Microsoft Entra that are kept as JSON files.

An entry is one request and what is expected of its answer; the file's author says what
the members mean. Entries run in order, because later ones use ids that earlier ones saved.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent

#: Sends method, path, headers and body; gives back status, headers and the body's text.
Send = Callable[[str, str, dict[str, str], bytes | None], tuple[int, Any, str]]


def load(name: str) -> list[dict[str, Any]]:
    return json.loads((FOLDER / name).read_text())


@dataclass
class Conversation:
    """One run of a conversation against one server."""

    send: Send
    #: What stands for the placeholders; grows with what is saved.
    names: dict[str, str]
    media_type: str = "application/scim+json"
    pages: dict[str, list[str]] = field(default_factory=dict)

    def run(self, entry: dict[str, Any]) -> list[str]:
        """Carry one entry out; what is wrong with the answer, as sentences."""
        status, headers, text = self._request(
            entry["method"], entry["path"], entry["headers"], entry["body"]
        )
        expect = entry["expect"]
        if status not in (expect["status"], *expect.get("also_ok", [])):
            return [f"status {status}, expected {expect['status']}: {text[:300]}"]
        if status != expect["status"]:
            return list(self._after(expect))
        body = json.loads(text) if text else None
        if status >= 400 or body is not None:
            assert headers["Content-Type"].startswith(self.media_type)
        return [*self._check(entry["name"], expect, headers, body), *self._after(expect)]

    def _request(
        self, method: str, path: str, headers: dict[str, Any], body: Any
    ) -> tuple[int, Any, str]:
        sent = {k: self._fill(v) for k, v in headers.items() if v is not None}
        if body is not None:
            body = self._fill(body if isinstance(body, str) else json.dumps(body)).encode()
        return self.send(method, self._fill(path), sent, body)

    def _fill(self, text: str) -> str:
        return re.sub(r"\{\{([^}]+)\}\}", lambda found: self.names[found[1]], text)

    def _filled(self, value: Any) -> Any:
        return json.loads(self._fill(json.dumps(value)))

    def _check(self, name: str, expect: dict[str, Any], headers: Any, body: Any) -> Iterator[str]:
        if "body" in expect and body is not None:
            yield from _differences(self._filled(expect["body"]), body, "")
        for header, wanted in expect.get("headers", {}).items():
            if header not in headers or (wanted != "present" and headers[header] != wanted):
                yield f"header {header} is {headers.get(header)!r}, expected {wanted!r}"
        for path in expect.get("present", []):
            if _at(body, path) in (None, ""):
                yield f"{path} is missing"
        for path in expect.get("absent", []):
            if _at(body, path) not in (None, ""):
                yield f"{path} is there: {_at(body, path)!r}"
        resources = (body or {}).get("Resources", []) if isinstance(body, dict) else []
        ids = [resource.get("id") for resource in resources]
        self.pages[name] = ids
        if "total" in expect and body["totalResults"] != expect["total"]:
            yield f"totalResults is {body['totalResults']}, expected {expect['total']}"
        if "ids" in expect and sorted(ids) != sorted(self._filled(expect["ids"])):
            yield f"ids are {ids}"
        if "items" in expect and len(ids) != expect["items"]:
            yield f"{len(ids)} items, expected {expect['items']}"
        if "resource_ids" in expect and not set(expect["resource_ids"]) <= set(ids):
            yield f"resources are {ids}"
        if "first" in expect:
            yield from _differences(self._filled(expect["first"]), resources[0], "first")
        for path in expect.get("first_absent", []):
            if _at(resources[0], path) not in (None, ""):
                yield f"{path} is in the first resource"
        if "disjoint_from" in expect and set(ids) & set(self.pages[expect["disjoint_from"]]):
            yield "the pages overlap"
        if "new_id_not" in expect and body["id"] == self._fill(expect["new_id_not"]):
            yield "the id was used before"
        for placeholder, path in expect.get("save", {}).items():
            self.names[placeholder] = _at(body, path)

    def _after(self, expect: dict[str, Any]) -> Iterator[str]:
        after = expect.get("after")
        if not after:
            return
        headers = {"Authorization": "Bearer {{token}}"}
        status, _, text = self._request("GET", after["path"], headers, None)
        if status != 200:
            yield f"afterwards, GET answers {status}"
            return
        body = json.loads(text)
        if "body" in after:
            yield from _differences(self._filled(after["body"]), body, "after")
        for path in after.get("present", []):
            if _at(body, path) in (None, ""):
                yield f"afterwards, {path} is missing"
        for path in after.get("absent", []):
            if _at(body, path) not in (None, ""):
                yield f"afterwards, {path} is {_at(body, path)!r}"
        if "members" in after:
            members = sorted(member["value"] for member in body.get("members", []))
            if members != sorted(self._filled(after["members"])):
                yield f"afterwards, the members are {members}"
        if "no_element" in after:
            wanted = after["no_element"]
            for element in _at(body, wanted["path"]) or []:
                if not list(_differences(wanted["match"], element, "")):
                    yield f"afterwards, {wanted['path']} still has {element}"


def _differences(wanted: Any, found: Any, path: str) -> Iterator[str]:
    """Where ``found`` is not a superset of ``wanted``; lists match in any order."""
    if isinstance(wanted, dict):
        if not isinstance(found, dict):
            yield f"{path} is {found!r}, expected an object"
            return
        for key, value in wanted.items():
            if key not in found:
                yield f"{path}.{key} is missing"
            else:
                yield from _differences(value, found[key], f"{path}.{key}")
    elif isinstance(wanted, list):
        if not isinstance(found, list) or len(found) != len(wanted):
            yield f"{path} is {found!r}, expected {wanted!r}"
            return
        for value in wanted:
            if not any(not list(_differences(value, item, path)) for item in found):
                yield f"{path} has no {value!r}: {found!r}"
    elif wanted != found or isinstance(wanted, bool) is not isinstance(found, bool):
        yield f"{path} is {found!r}, expected {wanted!r}"


def _at(body: Any, path: str) -> Any:
    """The value at a dotted path; one that begins with a URN ends in ``:attribute``."""
    if path.lower().startswith("urn:"):
        urn, _, path = path.rpartition(":")
        body = (body or {}).get(urn)
    for name in path.split("."):
        body = body.get(name) if isinstance(body, dict) else None
    return body

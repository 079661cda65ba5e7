"""scim2-tester, by the authors of scim2-models: it reads what the server publishes of itself
and tries every attribute with every verb."""

from __future__ import annotations

import random

from flask import Flask
from scim2_client.engines.wsgi import WSGISCIMClient
from scim2_tester import Status, check_server

from ..conftest import PUBLIC_URL, both_databases, make_token

_ONE_ROLE = (
    'RFC 7643 §4.1.2, of roles: "No vocabulary or syntax is specified". Here a person has one '
    "role and always has one: the primary element is that role, whatever was sent as its primary"
)

#: Checks that ask for more than the RFCs do: what is checked of whom, what the check says in
#: its first line, and the sentence that lets the server answer as it does.
DISPUTED = {
    (
        "check_remove_attribute",
        "User",
        "Failed to remove attribute 'active': active cannot be removed.",
    ): 'RFC 7643 §4.1.1, of active: "The definitive meaning of this attribute is determined by '
    'the service provider." Here a person is active or is not; there is no third state.',
    (
        "check_add_attribute",
        "User",
        "PATCH modify() returned unexpected value for 'roles'.",
    ): f'{_ONE_ROLE}. RFC 7644 §3.5.2.1: "a new value is added to the attribute", so that the '
    "role of before is listed as well.",
    (
        "check_replace_attribute",
        "User",
        "PATCH modify() returned unexpected value for 'roles'.",
    ): f"{_ONE_ROLE}.",
    (
        "check_remove_attribute",
        "User",
        "PATCH modify() did not remove attribute 'roles'",
    ): f'{_ONE_ROLE}. RFC 7644 §3.5.1, of what a client does not assert: "the service provider '
    'MAY assign a default value to the final resource representation".',
}

GOOD = {Status.SUCCESS, Status.COMPLIANT, Status.ACCEPTABLE}


@both_databases
def test_every_check_passes_but_those_that_ask_too_much(app: Flask) -> None:
    """What fails, or is skipped, is exactly what is listed above."""
    random.seed(0)  # of what the suite sends: some of the disputed checks pass by chance
    token = make_token(app, "acme")
    client = WSGISCIMClient(
        app, f"{PUBLIC_URL}/scim/v2", headers={"Authorization": f"Bearer {token}"}
    )
    results = check_server(client)
    failed = {
        (one.title, one.resource_type, (one.reason or "").partition("\n")[0])
        for one in results
        if one.status not in GOOD
    }
    assert failed == set(DISPUTED)
    # Not because there was nothing to check.
    passed = {(one.title, one.resource_type) for one in results if one.status in GOOD}
    for kind in ("User", "Group"):
        for title in (
            "object_creation",
            "object_query",
            "object_replacement",
            "object_deletion",
            "check_add_attribute",
            "check_remove_attribute",
            "check_replace_attribute",
            "object_list_with_attributes",
            "search_with_attributes",
        ):
            assert (title, kind) in passed

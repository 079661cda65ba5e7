"""What the README promises of its integration, tried on it. Prints what it saw as JSON."""

from __future__ import annotations

import json

from app import create_app
from models import Account, User, db
from provisioning import scim
from werkzeug.security import generate_password_hash

app = create_app(
    {
        "SECRET_KEY": "test",
        "SQLALCHEMY_DATABASE_URI": "sqlite:///host.sqlite",
        "H5MAG_SCIM_PUBLIC_URL": "https://app.h5mag.example",
        "H5MAG_SCIM_OIDC_CLIENT_ID": "h5mag",
        "H5MAG_SCIM_OIDC_CLIENT_SECRET": "a secret",
        "SQLALCHEMY_ENGINE_OPTIONS": {"connect_args": {"check_same_thread": False}},
    }
)
with app.app_context():
    db.create_all()
    account = Account(name="acme", plan="enterprise")
    db.session.add(account)
    db.session.flush()
    db.session.add(User(account_id=account.id, username="owner", email="owner@x", role="owner"))
    db.session.commit()


def shell(*words: str) -> str:
    result = app.test_cli_runner().invoke(args=["scim", *words, "--account", "acme"])
    assert result.exit_code == 0, result.output
    return result.stdout.strip()


client = app.test_client()
bearer = {"Authorization": f"Bearer {shell('token', 'create', '--name', 'ci')}"}
body = {
    "userName": "ada",
    "externalId": "5c1d0a52-0001-4d7e-8a55-0b0b0b0b0b01",
    "emails": [{"type": "work", "value": "ada@example.com"}],
    "title": "kept by *",
}
created = client.post("/scim/v2/Users", json=body, headers=bearer).get_json()
before = client.post("/login", data={"email": "ada@example.com"})
tenant = "6f0a1c1e-8f5b-4f0e-9a39-5f3c0d2a7b10"
shell("sso", "configure", "--tenant", tenant)
during = client.post("/login", data={"email": "ada@example.com"})
password = client.post("/login?password=1", data={"email": "ada@example.com"})
shell("sso", "off")
after = client.post("/login", data={"email": "ada@example.com"})

with app.app_context():
    for person in db.session.scalars(db.select(User)):
        person.password_hash = generate_password_hash("right", "pbkdf2:sha256:1")
    db.session.commit()


def sign_in(email: str, typed: str) -> tuple[int, int]:
    """What a password is answered with, and then the page: 200, 403 or the login's 302."""
    browser = app.test_client()
    data = {"email": email, "password": typed}
    path = "/login?password=1&next=/account/provisioning"
    answer = browser.post(path, data=data)
    page = browser.get("/account/provisioning").status_code
    if answer.status_code == 302:
        assert answer.location == "/account/provisioning"
        assert browser.post("/logout").location == "/"
        assert browser.get("/account/provisioning").status_code == 302
    return answer.status_code, page


passwords = {
    "wrong": sign_in("owner@x", "wrong"),
    "owner": sign_in("owner@x", "right"),
    "member": sign_in("ada@example.com", "right"),
}
deactivate = {
    "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
    "Operations": [{"op": "replace", "path": "active", "value": False}],
}
signed_in = app.test_client()
signed_in.post("/login?password=1", data={"email": "ada@example.com", "password": "right"})
sessions = [signed_in.get("/account/provisioning").status_code]
client.patch(f"/scim/v2/Users/{created['id']}", json=deactivate, headers=bearer)
sessions.append(signed_in.get("/account/provisioning").status_code)
passwords["inactive"] = sign_in("ada@example.com", "right")

# The README's host has no second factor, without which nobody can require Microsoft.
scim.knows_second_factor = True
scim.second_factor = lambda user: user.username == "owner"
deactivate["Operations"][0]["value"] = True
client.patch(f"/scim/v2/Users/{created['id']}", json=deactivate, headers=bearer)
shell("sso", "break-glass", "add", "owner")
shell("sso", "configure", "--tenant", tenant, "--mode", "require")
passwords["required"] = sign_in("ada@example.com", "right")
passwords["break-glass"] = sign_in("owner@x", "right")

with app.app_context():
    found = db.session.scalars(db.select(User).filter_by(username="ada")).one()
    kept = [found.email, found.external_id, found.scim_extra]
print(  # noqa: T201, the test reads it
    json.dumps(
        {
            "created": created,
            "kept": kept,
            "logins": [
                before.status_code,
                during.status_code,
                during.location,
                password.status_code,
                after.status_code,
            ],
            "passwords": passwords,
            "sessions": sessions,
            "page": client.get("/account/provisioning").status_code,
            "extension": type(scim).__name__,
        }
    )
)

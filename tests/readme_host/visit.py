"""What the README promises of its integration, tried on it. Prints what it saw as JSON."""

from __future__ import annotations

import json

from app import create_app
from models import Account, User, db
from provisioning import scim

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
            "page": client.get("/account/provisioning").status_code,
            "extension": type(scim).__name__,
        }
    )
)

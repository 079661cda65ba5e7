"""A stand-in for Microsoft Entra that signs by itself and can be told to misbehave.

It shares no code with Authlib, verifies PKCE, the client secret and the single use of a
code, and has the addresses of Entra below ``/{tenant}`` beside a provider without a path.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

from joserfc import jwt
from joserfc.jwk import RSAKey
from werkzeug.serving import make_server
from werkzeug.wrappers import Request, Response

CLIENT_ID = "3c1f6a34-7c7e-4a0a-9a1e-5b8a7f0c2d11"
CLIENT_SECRET = "s3cret~with+odd%characters/"


#: As the value of a claim: leave it out.
class _Absent:
    """Stands for a claim that is not there; the same in every process that runs tests."""

    def __repr__(self) -> str:
        return "absent"


ABSENT: Any = _Absent()

METADATA = ".well-known/openid-configuration"


def new_key(kid: str) -> RSAKey:
    """A signing key."""
    return RSAKey.generate_key(2048, {"kid": kid, "use": "sig"}, private=True)


#: The one it signs with, and the one it changes to.
KEYS = [new_key("first"), new_key("second")]


class Issuer:
    """One server, any number of tenants.

    A test changes the attributes; what it does not change is right.
    """

    def __init__(self) -> None:
        self.base = ""
        self.keys = [KEYS[0]]
        self.signing_key = KEYS[0]
        #: Written over the claims of every token.
        self.claims: dict[str, Any] = {}
        self.header: dict[str, Any] = {}
        #: Makes the whole token, from header and claims.
        self.forge: Callable[[dict[str, Any], dict[str, Any]], Any] | None = None
        #: What the authorize endpoint answers instead of a code.
        self.denial: dict[str, str] | None = None
        #: Instead of an endpoint's own answer: ``discovery``, ``keys``, ``token``.
        self.answers: dict[str, Callable[[], Response]] = {}
        #: Written over the metadata.
        self.metadata: dict[str, Any] = {}
        self.key_members: dict[str, Any] = {}
        self.client_secret = CLIENT_SECRET
        #: The tenants that domains lead to, as at Microsoft.
        self.domains: dict[str, str] = {}
        #: Every request, as endpoint and form or query.
        self.asked: list[tuple[str, dict[str, str]]] = []
        self._codes: dict[str, dict[str, str]] = {}

    def count(self, endpoint: str) -> int:
        """How often an endpoint was asked."""
        return sum(1 for name, _ in self.asked if name == endpoint)

    def issuer(self, tenant: str | None) -> str:
        """The issuer of a tenant, or of the provider without a path."""
        return f"{self.base}/{tenant}/v2.0" if tenant else self.base

    def rotate(self) -> None:
        """Sign with the other key from now on, and forget the first."""
        self.keys = [KEYS[1]]
        self.signing_key = KEYS[1]

    def __call__(self, environ: Any, start_response: Any) -> Any:
        return self._route(Request(environ))(environ, start_response)

    def _route(self, request: Request) -> Response:
        parts = request.path.strip("/").split("/")
        is_tenant = len(parts[0]) == 36 or parts[0] in self.domains
        tenant = parts.pop(0) if is_tenant else None
        tenant = self.domains.get(tenant or "", tenant)
        endpoints = {
            f"v2.0/{METADATA}" if tenant else METADATA: "discovery",
            "discovery/v2.0/keys" if tenant else "keys": "keys",
            "oauth2/v2.0/authorize" if tenant else "authorize": "authorize",
            "oauth2/v2.0/token" if tenant else "token": "token",
        }
        endpoint = endpoints.get("/".join(parts), request.path)
        self.asked.append((endpoint, request.values.to_dict()))
        if endpoint in self.answers:
            return self.answers[endpoint]()
        match endpoint:
            case "discovery":
                return _json(self._metadata(tenant))
            case "keys":
                public = [each.as_dict(private=False) for each in self.keys]
                return _json({"keys": [{**each, **self.key_members} for each in public]})
            case "authorize":
                return self._authorize(request, tenant)
            case "token":
                return self._token(request, tenant)
        return Response("not here", status=404)

    def _metadata(self, tenant: str | None) -> dict[str, Any]:
        root = f"{self.base}/{tenant}" if tenant else self.base
        oauth = f"{root}/oauth2/v2.0" if tenant else root
        return {
            "issuer": self.issuer(tenant),
            "authorization_endpoint": f"{oauth}/authorize",
            "token_endpoint": f"{oauth}/token",
            "end_session_endpoint": f"{oauth}/logout",
            "jwks_uri": f"{root}/discovery/v2.0/keys" if tenant else f"{root}/keys",
            "response_types_supported": ["code"],
            # A client that believes this list takes unsigned tokens.
            "id_token_signing_alg_values_supported": ["RS256", "HS256", "none"],
            **self.metadata,
        }

    def _authorize(self, request: Request, tenant: str | None) -> Response:
        query = request.args
        assert query["response_type"] == "code"
        assert query["response_mode"] == "query"
        assert query["code_challenge_method"] == "S256"
        assert query["scope"] == "openid profile"
        if self.denial is not None:
            answer = {**self.denial, "state": query["state"]}
        else:
            code = secrets.token_urlsafe(24)
            self._codes[code] = {**query.to_dict(), "tenant": tenant or ""}
            answer = {"code": code, "state": query["state"]}
        return Response(
            status=302, headers={"Location": f"{query['redirect_uri']}?{urlencode(answer)}"}
        )

    def _token(self, request: Request, tenant: str | None) -> Response:
        form = request.form
        if "Authorization" in request.headers or form.get("client_secret") != self.client_secret:
            return _error(401, "invalid_client", "AADSTS7000215: Invalid client secret. Trace ID")
        asked = self._codes.pop(form["code"], None)
        if asked is None:
            return _error(400, "invalid_grant", "AADSTS54005: the code was already redeemed.")
        if (form["client_id"], form["redirect_uri"], tenant or "") != (
            asked["client_id"],
            asked["redirect_uri"],
            asked["tenant"],
        ):
            return _error(400, "invalid_grant", "AADSTS700005: the code is of another tenant.")
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        if base64.urlsafe_b64encode(digest).decode().rstrip("=") != asked["code_challenge"]:
            return _error(400, "invalid_grant", "AADSTS501481: the code verifier does not match.")
        token = self.id_token(asked["nonce"], tenant)
        return _json(
            {"token_type": "Bearer", "expires_in": 3599, "access_token": "x", "id_token": token}
        )

    def id_token(self, nonce: str, tenant: str | None) -> Any:
        """A token as it is handed out now."""
        at = int(time.time())
        claims = {
            "iss": self.issuer(tenant),
            "aud": CLIENT_ID,
            "sub": "pairwise",
            "tid": tenant,
            "ver": "2.0",
            "nonce": nonce,
            "iat": at,
            "nbf": at,
            "exp": at + 3600,
            "preferred_username": "kim@acme.example",
            "email": "kim@acme.example",
            **self.claims,
        }
        claims = {name: value for name, value in claims.items() if value is not ABSENT}
        header = {"alg": "RS256", "kid": self.signing_key.kid, **self.header}
        header = {name: value for name, value in header.items() if value is not ABSENT}
        if self.forge is not None:
            return self.forge(header, claims)
        return jwt.encode(header, claims, self.signing_key)


def encode(header: dict[str, Any], claims: dict[str, Any], signature: bytes = b"") -> str:
    """A compact token with a signature of one's own making."""
    parts = [json.dumps(header).encode(), json.dumps(claims).encode(), signature]
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)


def _json(document: Any, status: int = 200) -> Response:
    return Response(json.dumps(document), status=status, mimetype="application/json")


def _error(status: int, error: str, description: str) -> Response:
    return _json({"error": error, "error_description": description}, status)


@contextmanager
def running() -> Iterator[Issuer]:
    """An issuer that listens on a free port of ``localhost``."""
    issuer = Issuer()
    server = make_server("localhost", 0, issuer, threaded=True)
    issuer.base = f"http://localhost:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield issuer
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

"""What a host's own forms say of people whom Microsoft Entra manages."""

from __future__ import annotations

TEXTS = {
    "managed": "Managed by Microsoft Entra ID",
}

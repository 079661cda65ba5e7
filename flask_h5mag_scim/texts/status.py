"""The header: how provisioning is doing, in one sentence."""

# ruff: noqa: E501, a text is one line, whatever its length.

from __future__ import annotations

TEXTS = {
    "status.licence": "No licence",
    "status.licence.why": "Microsoft Entra is refused, and this page can only be read.",
    "status.brake": "Brake engaged",
    "status.brake.why": "Unusually many people were to be deactivated. The others are held back.",
    "status.brake.link": "Decide what becomes of them",
    "status.paused": "Paused",
    "status.paused.why": "{who} paused provisioning {ago}.",
    "status.paused.link": "Resume it in the danger zone",
    "status.draft": "Token not saved",
    "status.draft.why": "Press Save so that Microsoft Entra can use the token.",
    "status.expired": "Token expired",
    "status.expired.why": "Microsoft Entra is refused until it has a new token.",
    "status.none": "Not set up",
    "status.none.why": "Microsoft Entra is not connected to this account.",
    "status.expiring": "Token expires {when}",
    "status.expiring.why": "Generate a new token before that; two can be active at once.",
    "status.attention": "Attention",
    "status.attention.why": "{count} failed requests in 24 h.",
    "status.attention.link": "See what each of them needs",
    "status.quiet": "Quiet for {length}",
    "status.quiet.why": "Expected every {minutes} min. See in Microsoft Entra, under Provisioning, whether it is on or in quarantine.",
    "status.waiting": "Waiting for Microsoft Entra",
    "status.waiting.why": "Everything is ready here; no request has come yet.",
    "status.connected": "Connected",
    "status.connected.why": "Last request {ago}. {arrived}.",
    "status.users": "{n} users",
    "status.users.one": "1 user",
    "status.users.none": "No users yet",
    "status.groups": "{n} groups",
    "status.groups.one": "1 group",
    "status.hours": "{n} h",
    "status.hours.one": "1 h",
    "status.days": "{n} days",
    "status.days.one": "1 day",
}

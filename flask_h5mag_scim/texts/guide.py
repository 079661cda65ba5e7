"""The setup guide. What Microsoft Entra calls its own things stands in these words there."""

# ruff: noqa: E501, a text is one line, whatever its length.

from __future__ import annotations

#: Keys with a number are the clicks of a step, in this order.
TEXTS = {
    "guide": "Setup guide",
    "guide.link": "The setup guide leads through it.",
    "guide.done": "{done} of {all} done",
    "guide.step.done": "Done",
    "guide.step.open": "To do",
    "guide.lead": "Each step is ticked when H5mag has seen it happen. In Microsoft Entra you need the role Cloud Application Administrator or a higher one.",
    "guide.token": "Save a token here",
    "guide.token.1": "Press Generate Token above. The Provisioning URL and the API Token appear; the token is shown only this once.",
    "guide.token.2": "Copy both for step 2, then press Save: before that the token does not work, and after it the token is not shown any more.",
    "guide.request": "Connect Microsoft Entra",
    "guide.request.1": "In the Microsoft Entra admin centre open Enterprise applications → New application, choose H5mag, and press Create. To try it out first, choose Create your own application → Non-gallery.",
    "guide.request.2": "In the new application open Provisioning → New configuration; in older portals: Get started, Provisioning Mode Automatic.",
    "guide.request.3": "Paste the Provisioning URL into “Tenant URL” and the API Token into “Secret Token”.",
    "guide.request.4": "Press Test Connection. When it succeeds, press Save or Create there.",
    "guide.mapping": "Let externalId come from objectId",
    "guide.mapping.1": "Open Provisioning → Mappings (or Attribute mapping) → Provision Microsoft Entra ID Users.",
    "guide.mapping.2": "In the row of externalId, change the source from mailNickname to objectId: with it people can sign in through Microsoft.",
    "guide.mapping.3": "Keep the rows of this table, and one for roles if you give roles. H5mag makes no use of what other rows send: you may delete them. Press Save.",
    "guide.user": "Send the first person",
    "guide.user.1": "Under Users and groups → Add user/group assign one person or a small group. Members of nested groups are not provisioned.",
    "guide.user.2": "Open Provisioning → Provision on demand, choose the person, and press Provision. They are here at once.",
    "guide.user.3": "When that is as you want it, assign the others and press Start provisioning on the Overview.",
    "guide.sso": "Let people sign in with Microsoft",
    "guide.sso.1": "Above, under SSO Provider, select Microsoft 365 / Microsoft Entra ID, enter the Directory (tenant) ID, and press Save.",
    "guide.sso.2": "Press Test sign-in. When the test has passed, the redirect begins.",
    "guide.sso.3": "In the application in Microsoft Entra open Single sign-on and paste the Sign-on URL, which then stands above under “Redirect URI, Sign-on URL and admin consent”, so that the tile in My Apps works.",
    "guide.target": "Attribute in H5mag",
    "guide.source": "Source in Microsoft Entra",
    "guide.source.yours": "As you like, or leave the row out",
    "guide.advice": "Before you begin",
    "guide.advice.1": "Try it with an application of its own in Microsoft Entra, and with one person, before you assign everybody.",
    "guide.advice.2": "After the first cycle Microsoft Entra comes about every 40 minutes. Provision on demand is at once.",
    "guide.advice.3": "Leave one owner of this account out: Microsoft Entra can deactivate everybody whom it provisions.",
}

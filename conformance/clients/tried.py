"""What every trial of a Python client shares: where the server is, and how its API is called."""

import os
import sys

import requests

URL = os.environ["COUNTERMAND_URL"]
TENANT = os.environ["COUNTERMAND_TENANT"]
CLIENT_ID = os.environ["COUNTERMAND_CLIENT_ID"]
CLIENT_SECRET = os.environ["COUNTERMAND_CLIENT_SECRET"]
CA_FILE = os.environ["COUNTERMAND_CA_FILE"]

# What clients ask for: the API's old and new names, the service's own, and the server itself.
RESOURCES = [
    "https://api.securitycenter.microsoft.com",
    "https://api.securitycenter.windows.com",
    "https://api.security.microsoft.com",
    "https://securitycenter.onmicrosoft.com/windowsatpservice",
    URL,
]


def call(token: str, path: str) -> requests.Response:
    """GET with a bearer token."""
    return requests.get(URL + path, headers={"Authorization": f"Bearer {token}"}, verify=CA_FILE, timeout=30)


def must(holds: bool, what: object) -> None:
    """Ends the trial if it does not hold. Not `assert`, which an option of the interpreter takes away."""
    if not holds:
        sys.exit(f"does not hold: {what}")


def takes(token: str) -> None:
    """The API takes this token, and not one with a character changed."""
    listed = call(token, "/api/machines?$top=1")
    must(listed.status_code == 200 and listed.json()["value"] == [], listed.text)
    middle = len(token) // 2
    changed = token[:middle] + ("A" if token[middle] != "A" else "B") + token[middle + 1 :]
    refused = call(changed, "/api/machines?$top=1")
    must(refused.status_code == 401 and refused.json()["error"]["code"] == "Unauthorized", refused.text)

"""requests-oauthlib, as a plain OAuth 2 library: HTTP Basic on both versions of the token endpoint."""

import requests_oauthlib
from oauthlib.oauth2 import BackendApplicationClient, InvalidClientError
from requests.auth import HTTPBasicAuth
from requests_oauthlib import OAuth2Session

from tried import CA_FILE, CLIENT_ID, CLIENT_SECRET, RESOURCES, TENANT, URL, must, takes


def fetch(path: str, secret: str, **asked: str) -> dict:
    session = OAuth2Session(client=BackendApplicationClient(client_id=CLIENT_ID))
    basic = HTTPBasicAuth(CLIENT_ID, secret)
    return session.fetch_token(f"{URL}/{TENANT}{path}", auth=basic, verify=CA_FILE, timeout=30, **asked)


tokens = 0
for resource in RESOURCES:
    version_2 = fetch("/oauth2/v2.0/token", CLIENT_SECRET, scope=f"{resource}/.default")
    version_1 = fetch("/oauth2/token", CLIENT_SECRET, resource=resource)
    must(version_1["resource"].rstrip("/") == resource.rstrip("/"), version_1)
    must(3000 < int(version_1["expires_on"]) - int(version_1["not_before"]) <= 4200, version_1)
    for answer in (version_1, version_2):
        takes(answer["access_token"])
        tokens += 1

try:
    fetch("/oauth2/v2.0/token", "not the secret", scope=f"{RESOURCES[0]}/.default")
except InvalidClientError as error:
    must("AADSTS7000215" in str(error), error)
else:
    must(False, "a wrong secret gets a token")
print(f"requests-oauthlib {requests_oauthlib.__version__}: {tokens} tokens, used; a wrong secret is refused")

"""PyJWT, which knows only the address of the tenant, finds issuer and keys by discovery and verifies our tokens."""

import ssl

import jwt
import requests

from tried import CA_FILE, CLIENT_ID, CLIENT_SECRET, RESOURCES, TENANT, URL, must


def discovered(version: str) -> dict:
    found = requests.get(f"{URL}/{TENANT}{version}/.well-known/openid-configuration", verify=CA_FILE, timeout=30)
    must(found.status_code == 200, found.text)
    return found.json()


context = ssl.create_default_context(cafile=CA_FILE)
for version, field, ending in [("/v2.0", "scope", "/.default"), ("", "resource", "")]:
    document = discovered(version)
    keys = jwt.PyJWKClient(document["jwks_uri"], ssl_context=context)
    form = {"grant_type": "client_credentials", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    answer = requests.post(
        document["token_endpoint"], data=form | {field: RESOURCES[0] + ending}, verify=CA_FILE, timeout=30
    )
    token = answer.json()["access_token"]
    key = keys.get_signing_key_from_jwt(token)
    claims = jwt.decode(token, key.key, algorithms=["ES256"], audience=RESOURCES[0], issuer=document["issuer"])
    must(claims["appid"] == CLIENT_ID and claims["tid"] == TENANT, claims)
    try:
        jwt.decode(token[:-8] + "AAAAAAAA", key.key, algorithms=["ES256"], audience=RESOURCES[0])
        must(False, "a changed signature is taken")
    except jwt.InvalidSignatureError:
        pass
print(f"pyjwt {jwt.__version__}: tokens of both versions verified by the published keys")

"""azure-identity gets tokens and uses them."""

import time

import azure.identity
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import ClientSecretCredential

from tried import CA_FILE, CLIENT_ID, CLIENT_SECRET, RESOURCES, TENANT, URL, must, takes


def credential(secret: str) -> ClientSecretCredential:
    return ClientSecretCredential(
        TENANT, CLIENT_ID, secret, authority=URL, disable_instance_discovery=True, connection_verify=CA_FILE
    )


ours = credential(CLIENT_SECRET)
for resource in RESOURCES:
    token = ours.get_token(f"{resource}/.default")
    must(3000 < token.expires_on - time.time() <= 3600, token.expires_on)
    takes(token.token)

try:
    credential("not the secret").get_token(f"{RESOURCES[0]}/.default")
except ClientAuthenticationError as error:
    must("AADSTS7000215" in str(error), error)
else:
    must(False, "a wrong secret gets a token")
print(f"azure-identity {azure.identity.__version__}: {len(RESOURCES)} tokens, used; a wrong secret is refused")

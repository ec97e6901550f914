"""MSAL for Python gets tokens and uses them."""

import msal

from tried import CA_FILE, CLIENT_ID, CLIENT_SECRET, RESOURCES, TENANT, URL, must, takes


def application(secret: str) -> msal.ConfidentialClientApplication:
    # Without instance discovery, as for every authority that is not Microsoft's: MSAL would ask Microsoft about us.
    return msal.ConfidentialClientApplication(
        CLIENT_ID, client_credential=secret, authority=f"{URL}/{TENANT}", verify=CA_FILE, instance_discovery=False
    )


app = application(CLIENT_SECRET)
for resource in RESOURCES:
    scopes = [f"{resource}/.default"]
    answer = app.acquire_token_for_client(scopes)
    must("access_token" in answer and answer["token_type"] == "Bearer", answer)
    must(3000 < answer["expires_in"] <= 3600, answer["expires_in"])
    takes(answer["access_token"])
    again = app.acquire_token_for_client(scopes)
    must(again["token_source"] == "cache" and again["access_token"] == answer["access_token"], "MSAL keeps it")

refused = application("not the secret").acquire_token_for_client([f"{RESOURCES[0]}/.default"])
must(refused.get("error") == "invalid_client" and refused.get("error_codes") == [7000215], refused)
must("AADSTS7000215" in refused["error_description"], refused)
print(f"msal {msal.__version__}: {len(RESOURCES)} tokens, used; a wrong secret is {refused['error']}")

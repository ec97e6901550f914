"""Asks a running server for all that its own description says it answers, and for much that it does not.

A machine is enrolled and an action requested first, so that not everything ends in 404. What must hold: no answer is a
failure of the server's, and every answer has a status, a content type and a shape that the description names.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

URL = os.environ["COUNTERMAND_URL"]
CA_FILE = os.environ["COUNTERMAND_CA_FILE"]
EXAMPLES = os.environ.get("COUNTERMAND_EXAMPLES", "100")
# The same questions for every change; another seed asks others.
SEED = os.environ.get("COUNTERMAND_SEED", "1")
MACHINE = "web-03"
CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
]


def post(path: str, **sent: object) -> dict:
    answer = requests.post(URL + path, verify=CA_FILE, timeout=30, **sent)
    if not answer.ok:
        sys.exit(f"{path}: {answer.status_code} {answer.text}")
    return answer.json()


def token() -> str:
    form = {
        "grant_type": "client_credentials",
        "client_id": os.environ["COUNTERMAND_CLIENT_ID"],
        "client_secret": os.environ["COUNTERMAND_CLIENT_SECRET"],
        "scope": f"{URL}/.default",
    }
    return post(f"/{os.environ['COUNTERMAND_TENANT']}/oauth2/v2.0/token", data=form)["access_token"]


def enrol() -> None:
    """A machine on record; nobody ever connects as it."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, MACHINE)])
    request = x509.CertificateSigningRequestBuilder().subject_name(name)
    signed = request.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    pem = signed.public_bytes(serialization.Encoding.PEM).decode()
    asked = {"token": os.environ["COUNTERMAND_ENROL_TOKEN"], "csr_pem": pem, "name": MACHINE}
    post("/agent/v1/enrol", json=asked)


def known(action: str) -> str:
    """Tells schemathesis of what is there."""
    return f"""
[[operations]]
include-path-regex = "^/api/machines/[{{]id[}}]"
parameters = {{ id = "{MACHINE}" }}

[[operations]]
include-path-regex = "^/api/(machineactions|countermand/actions)/[{{]id[}}]"
parameters = {{ id = "{action}" }}

[[operations]]
include-path-regex = "^/[{{]tenant[}}]/"
parameters = {{ tenant = "{os.environ['COUNTERMAND_TENANT']}" }}
"""


def run(config: str, bearer: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "schemathesis.toml"
        file.write_text(config, encoding="utf-8")
        program = [str(Path(sys.executable).parent / "schemathesis"), f"--config-file={file}", "run"]
        options = [f"--url={URL}", f"--tls-verify={CA_FILE}", f"--header=Authorization: Bearer {bearer}"]
        options += [f"--checks={','.join(CHECKS)}", "--phases=examples,coverage,fuzzing", f"--max-examples={EXAMPLES}"]
        options += ["--workers=2", "--no-color", "--warnings=off", f"--seed={SEED}"]
        ended = subprocess.run(program + [f"{URL}/openapi.json"] + options, cwd=folder, check=False)
        if ended.returncode != 0:
            sys.exit(ended.returncode)


def main() -> None:
    bearer = token()
    enrol()
    headers = {"Authorization": f"Bearer {bearer}"}
    action = post(f"/api/machines/{MACHINE}/isolate", headers=headers, json={"Comment": "why"})
    run(known(action["id"]), bearer)
    run("", bearer)


main()

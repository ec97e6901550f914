//! `cargo xtask clients`: libraries that people use get tokens from a running server and use them.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::ensure;

use crate::served::Served;
use crate::{foreign, program, workspace};

/// Far above what one takes: this only ends a client that hangs.
const CLIENT_LIMIT: Duration = Duration::from_secs(120);

/// Clients in Python, each a script in `conformance/clients`.
const PYTHON: [&str; 4] = ["try_msal.py", "try_azure_identity.py", "try_oauthlib.py", "try_pyjwt.py"];

pub(crate) fn run(args: &[String]) -> anyhow::Result<()> {
    ensure!(args.is_empty(), "usage: cargo xtask clients");
    all(&workspace::root()?)
}

/// Every client, against one server.
pub(crate) fn all(root: &Path) -> anyhow::Result<()> {
    let folder = root.join("conformance/clients");
    let python = foreign::python(root, "clients-python", &folder.join("requirements.txt"))?;
    let node = foreign::node(root, "clients-node", &folder.join("package.json"))?;
    let served = Served::start(root, &[])?;
    for script in PYTHON {
        let mut client = Command::new(&python);
        // No compiled files in the source tree.
        client.arg("-B").arg(folder.join(script));
        // Set to something else by somebody, it would win over what the client is told.
        client.env("REQUESTS_CA_BUNDLE", served.ca_file());
        tried(&served, &mut client)?;
    }
    let mut client = Command::new("node");
    client.arg(folder.join("try_msal_node.mjs")).env("COUNTERMAND_NODE_FOLDER", node);
    client.env("NODE_EXTRA_CA_CERTS", served.ca_file());
    tried(&served, &mut client)
}

fn tried(served: &Served, client: &mut Command) -> anyhow::Result<()> {
    served.told_to(client)?;
    client.env("NO_PROXY", "localhost");
    program::run_within(client, CLIENT_LIMIT).inspect_err(|_| eprintln!("the server's log:\n{}", served.log()))
}

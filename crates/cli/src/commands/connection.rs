//! The settings all client commands share: which server, whom to trust, who asks, how to print.

use super::Complaint;
use crate::client::{Client, ClientConfig, Credentials};
use crate::output::{Format, Output};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Holds the secret, where it is not in a file. Never an argument: arguments are seen by every user of the computer.
const SECRET_VARIABLE: &str = "COUNTERMAND_CLIENT_SECRET";
/// Holds a token from elsewhere.
const TOKEN_VARIABLE: &str = "COUNTERMAND_TOKEN";

/// The settings all client commands share.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Connection")]
pub struct Connection {
    /// The server: https://host[:port]; plain http for loopback addresses only
    #[arg(long, global = true, env = "COUNTERMAND_URL")]
    url: Option<String>,
    /// PEM file with the server's CA certificate, then the only one trusted
    #[arg(long, global = true, value_name = "FILE", env = "COUNTERMAND_CA_FILE")]
    ca_file: Option<OsString>,
    /// The tenant to sign in at
    #[arg(long, global = true, env = "COUNTERMAND_TENANT")]
    tenant: Option<String>,
    /// The application to sign in as; its secret is in the environment variable COUNTERMAND_CLIENT_SECRET or in a
    /// file. A token in COUNTERMAND_TOKEN is used instead of signing in
    #[arg(long, global = true, value_name = "ID", env = "COUNTERMAND_CLIENT_ID")]
    client_id: Option<String>,
    /// File with the application's secret
    #[arg(long, global = true, value_name = "FILE", env = "COUNTERMAND_CLIENT_SECRET_FILE")]
    client_secret_file: Option<OsString>,
    /// How to print: table for people; json (indented) or jsonl (an item on each line) as the API has it
    #[arg(short, long, global = true, value_enum, value_name = "FORMAT", default_value_t, hide_possible_values = true)]
    output: Format,
}

impl Connection {
    /// Where results go.
    pub fn output(&self) -> Output {
        Output { format: self.output }
    }

    /// The client these settings describe. Nothing is sent yet.
    pub fn client(&self) -> Result<Client, Complaint> {
        let base_url = given(&self.url, "the server", "--url or COUNTERMAND_URL")?;
        let ca_file = file(&self.ca_file).map(PathBuf::from);
        Ok(Client::new(ClientConfig { base_url, ca_file, credentials: self.credentials()? })?)
    }

    fn credentials(&self) -> Result<Credentials, Complaint> {
        if let Some(token) = variable(TOKEN_VARIABLE) {
            return Ok(Credentials::Token(token));
        }
        Ok(Credentials::Client {
            tenant: given(&self.tenant, "the tenant", "--tenant or COUNTERMAND_TENANT")?,
            client_id: given(&self.client_id, "the application", "--client-id or COUNTERMAND_CLIENT_ID")?,
            client_secret: self.secret()?,
        })
    }

    fn secret(&self) -> Result<String, Complaint> {
        let secret = match file(&self.client_secret_file) {
            Some(path) => Some(
                std::fs::read_to_string(path)
                    .map_err(|error| Complaint::usage(format!("cannot read {}: {error}", path.display())))?,
            ),
            None => variable(SECRET_VARIABLE),
        };
        // A file ends with a newline that is not part of the secret.
        let secret = secret.map(|secret| secret.trim_end_matches(['\r', '\n']).to_string());
        given(&secret, "the secret", "COUNTERMAND_CLIENT_SECRET or --client-secret-file")
    }
}

/// A setting that must be there; set but empty is as good as not set.
fn given(value: &Option<String>, what: &str, how: &str) -> Result<String, Complaint> {
    match value.as_deref() {
        Some(value) if !value.is_empty() => Ok(value.into()),
        _ => Err(Complaint::usage(format!("{what} is not given: set {how}"))),
    }
}

/// A file's path; a variable that is set but empty names none.
fn file(path: &Option<OsString>) -> Option<&Path> {
    path.as_deref().filter(|path| !path.is_empty()).map(Path::new)
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

//! The agent's command line, the same for both binaries that carry it.

use crate::identity::Enrolment;
use crate::run::{AgentConfig, run};
use anyhow::Context as _;
use clap::Args;
use std::path::PathBuf;

/// Runs the agent on this machine. Needs root for what it does.
///
/// The first start enrols the machine: give --server, --server-ca and the enrolment token. Later starts need only the
/// state folder.
#[derive(Args, Debug)]
pub struct AgentOptions {
    /// The agent's own folder: its key, its journal.
    #[arg(long, env = "COUNTERMAND_STATE_DIR", default_value = "/var/lib/countermand-agent")]
    state_dir: PathBuf,
    /// The server's base URL, for enrolment.
    #[arg(long, env = "COUNTERMAND_SERVER", requires = "server_ca")]
    server: Option<String>,
    /// The server's certificate authority (its `ca.pem`), for enrolment.
    #[arg(long, env = "COUNTERMAND_SERVER_CA")]
    server_ca: Option<PathBuf>,
    /// The enrolment token. Give it in the environment: command lines are for everyone to read.
    #[arg(long, env = "COUNTERMAND_ENROL_TOKEN", hide_env_values = true)]
    enrol_token: Option<String>,
    /// The name to enrol under; default: the host's name.
    #[arg(long)]
    name: Option<String>,
    /// The folder for its processes in the cgroup tree; default: the machine's id. For several agents on one machine.
    #[arg(long, hide = true)]
    slice: Option<String>,
}

impl AgentOptions {
    /// Runs the agent until the process is ended.
    ///
    /// # Errors
    /// It is not enrolled and cannot be, or its state cannot be used.
    pub fn run(self) -> anyhow::Result<()> {
        let enrolment = match (self.server, self.server_ca, self.enrol_token) {
            (Some(server), Some(ca_file), Some(token)) => {
                let authority_pem = std::fs::read_to_string(&ca_file)
                    .with_context(|| format!("cannot read the authority's file {}", ca_file.display()))?;
                let name = self.name.map_or_else(host_name, Ok)?;
                Some(Enrolment { server, token, authority_pem, name })
            }
            _ => None,
        };
        run(AgentConfig { state_dir: self.state_dir, enrolment, slice: self.slice })
    }
}

fn host_name() -> anyhow::Result<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").context("the host's name")?;
    Ok(name.trim().to_string())
}

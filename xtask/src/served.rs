//! A server of our own for a trial: the built binary, on a free port of loopback, with a data folder that goes with it.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::Value;

use crate::{program, workspace};

/// How long a server may take until it answers, in a debug build on a busy machine.
const STARTS_WITHIN: Duration = Duration::from_secs(60);

const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// A running server, and an application that may do everything.
pub(crate) struct Served {
    child: Child,
    folder: PathBuf,
    port: u16,
    application: Value,
}

impl Served {
    /// Builds `countermand` as the tests do and serves with it; `options` are further ones of `countermand serve`.
    pub(crate) fn start(root: &Path, options: &[&str]) -> anyhow::Result<Self> {
        let build = ["build", "--locked", "--workspace", "--bin", "countermand"];
        program::run(program::cargo().args(build).current_dir(root))?;
        let target = workspace::target_folder(root);
        let binary = target.join("debug/countermand");
        let folder = target.join(format!("served-{}", std::process::id()));
        // Left over from a trial that was killed, whose process id is ours now.
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder)?;
        let port = free_port()?;
        let log = std::fs::File::create(folder.join("log"))?;
        let child = Command::new(&binary)
            .args(["serve", "--public-name", "localhost", "--agent-listen", "127.0.0.1:0"])
            .arg(format!("--api-listen=127.0.0.1:{port}"))
            .arg("--data-dir")
            .arg(folder.join("data"))
            .args(options)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("cannot start the server")?;
        let mut served = Self { child, folder, port, application: Value::Null };
        served.wait_until_it_answers()?;
        let mut add = Command::new(&binary);
        add.args(["app", "add", "clients", "--all", "--json", "--data-dir"]).arg(served.folder.join("data"));
        served.application = serde_json::from_str(&program::output(&mut add)?).context("app add prints no JSON")?;
        Ok(served)
    }

    /// Where it serves its API.
    pub(crate) fn url(&self) -> String {
        format!("https://localhost:{}", self.port)
    }

    /// The certificate to trust.
    pub(crate) fn ca_file(&self) -> PathBuf {
        self.folder.join("data/ca.pem")
    }

    /// A word of the application: `tenant`, `clientId` or `clientSecret`.
    pub(crate) fn word(&self, name: &str) -> anyhow::Result<&str> {
        self.application[name].as_str().with_context(|| format!("app add says no {name}"))
    }

    /// A token with which one machine enrols.
    pub(crate) fn enrol_token(&self, root: &Path) -> anyhow::Result<String> {
        let mut make = Command::new(workspace::target_folder(root).join("debug/countermand"));
        make.args(["enrol-token", "--data-dir"]).arg(self.folder.join("data"));
        Ok(program::output(&mut make)?.trim().to_string())
    }

    /// Tells a program where the server is and who calls, in the variables that `countermand` itself reads.
    pub(crate) fn told_to(&self, command: &mut Command) -> anyhow::Result<()> {
        command
            .env("COUNTERMAND_URL", self.url())
            .env("COUNTERMAND_CA_FILE", self.ca_file())
            .env("COUNTERMAND_TENANT", self.word("tenant")?)
            .env("COUNTERMAND_CLIENT_ID", self.word("clientId")?)
            .env("COUNTERMAND_CLIENT_SECRET", self.word("clientSecret")?);
        Ok(())
    }

    /// What it logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    fn wait_until_it_answers(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + STARTS_WITHIN;
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            if let Some(status) = self.child.try_wait()? {
                bail!("the server ended ({status}):\n{}", self.log());
            }
            if Instant::now() >= deadline {
                bail!("the server does not answer within {} s:\n{}", STARTS_WITHIN.as_secs(), self.log());
            }
            std::thread::sleep(POLL_INTERVAL);
        }
        Ok(())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // Killing is safe: what it answered is on disk, and the disk goes too.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A port nobody listens on now. Somebody may take it before we do; then the server says so.
fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

//! `countermand serve`: the server.

use anyhow::Context as _;
use clap::Args;
use server::config::{
    AgentsConfig, CancelConfig, Config, DataConfig, IssuerConfig, LimitsConfig, ListenConfig, TokensConfig,
};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Runs the server: the API, and the agents' listener.
///
/// On the first start it makes its own certificate authority, keys and store in the data directory. Give `ca.pem` from
/// there to agents and API clients.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  countermand serve --data-dir /var/lib/countermand --public-name control.example.org"
)]
pub struct Serve {
    /// Where keys, certificates and the store are kept.
    #[arg(long, env = "COUNTERMAND_DATA_DIR", default_value = "/var/lib/countermand")]
    data_dir: PathBuf,
    /// Where the API listens.
    #[arg(long, default_value = "0.0.0.0:8443")]
    api_listen: SocketAddr,
    /// Where agents connect, over mutual TLS.
    #[arg(long, default_value = "0.0.0.0:8444")]
    agent_listen: SocketAddr,
    /// The name or address by which clients and agents reach this server; stands in its certificate.
    #[arg(long, default_value = "localhost")]
    public_name: String,
    /// The base URL by which clients reach the API, if a proxy or another port stands before it. It is part of every token;
    /// by default it is made of the public name and the port.
    #[arg(long, value_name = "URL", value_parser = base_url)]
    public_url: Option<String>,
    /// A further name or address for the certificate. Repeatable.
    #[arg(long = "name", value_name = "NAME")]
    names: Vec<String>,
    /// A JSON file with other issuers whose tokens are taken (Entra ID, Keycloak, any OpenID provider).
    #[arg(long, env = "COUNTERMAND_ISSUERS", value_name = "FILE")]
    issuers: Option<PathBuf>,
    /// Serve the API without TLS; only on a loopback address.
    #[arg(long)]
    plain_http: bool,
    /// Calls per minute that one application may make to one endpoint.
    #[arg(long, default_value_t = 100)]
    limit_per_minute: u32,
    /// Calls per hour that one application may make to one endpoint.
    #[arg(long, default_value_t = 1500)]
    limit_per_hour: u32,
    /// Live responses per minute that one application may request.
    #[arg(long, default_value_t = 10)]
    limit_live_response_per_minute: u32,
    /// Live responses that may be under way or waiting at once, of all applications together.
    #[arg(long, default_value_t = 25)]
    limit_live_response_sessions: u32,
    /// Links to investigation packages per minute that one application may ask for.
    #[arg(long, default_value_t = 2)]
    limit_package_per_minute: u32,
    /// Links to investigation packages per hour that one application may ask for.
    #[arg(long, default_value_t = 120)]
    limit_package_per_hour: u32,
    /// Investigations per hour that one application may start.
    #[arg(long, default_value_t = 50)]
    limit_investigation_per_hour: u32,
    /// Do not limit calls.
    #[arg(long)]
    no_limits: bool,
    /// How long a cancel waits for the machine's testimony before it answers InProgress, in milliseconds.
    #[arg(long, default_value_t = 3000)]
    cancel_wait_ms: u64,
    /// Let only those cancel an action who may request its kind; otherwise any of the seven permissions that allow a
    /// request will do, as in Defender's API.
    #[arg(long)]
    strict_cancel: bool,
    /// How long an open action's machine may be silent before its outcome is unknown, in hours.
    #[arg(long, default_value_t = 72)]
    horizon_hours: u32,
}

impl Serve {
    /// Serves until it is told to end (SIGTERM or Ctrl-C).
    ///
    /// # Errors
    /// It cannot start: an address in use, a data directory that is not usable or not safe.
    pub async fn run(self) -> anyhow::Result<()> {
        server::serve::serve(self.config()?).await.context("the server could not go on")
    }

    fn config(self) -> anyhow::Result<Config> {
        let issuers = self.issuers.as_deref().map(read_issuers).transpose()?.unwrap_or_default();
        let scheme = if self.plain_http { "http" } else { "https" };
        let mut names = self.names;
        names.push(self.public_name.clone());
        let limits = LimitsConfig {
            enabled: !self.no_limits,
            per_minute: self.limit_per_minute,
            per_hour: self.limit_per_hour,
            live_response_per_minute: self.limit_live_response_per_minute,
            package_per_minute: self.limit_package_per_minute,
            package_per_hour: self.limit_package_per_hour,
            investigation_per_hour: self.limit_investigation_per_hour,
            live_response_sessions: self.limit_live_response_sessions,
        };
        Ok(Config {
            listen: ListenConfig {
                api_address: self.api_listen,
                agent_address: self.agent_listen,
                plain_http: self.plain_http,
                names,
                ..ListenConfig::default()
            },
            data: DataConfig { dir: self.data_dir },
            limits,
            tokens: TokensConfig {
                public_url: self
                    .public_url
                    .unwrap_or_else(|| format!("{scheme}://{}", host_port(&self.public_name, self.api_listen.port()))),
                issuers,
                ..TokensConfig::default()
            },
            cancel: CancelConfig {
                wait_budget: Duration::from_millis(self.cancel_wait_ms),
                strict: self.strict_cancel,
            },
            agents: AgentsConfig {
                address: host_port(&self.public_name, self.agent_listen.port()),
                horizon_seconds: i64::from(self.horizon_hours) * 3600,
            },
        })
    }
}

/// A URL that others begin with: of http or https, with a host, without a query, without a slash at the end.
fn base_url(text: &str) -> Result<String, String> {
    let url = reqwest::Url::parse(text).map_err(|e| e.to_string())?;
    let is_bare = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    if !["http", "https"].contains(&url.scheme()) || !url.has_host() || !is_bare {
        return Err("it must be an http or https URL without credentials, query and fragment".into());
    }
    Ok(url.as_str().trim_end_matches('/').to_string())
}

fn read_issuers(file: &Path) -> anyhow::Result<Vec<IssuerConfig>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("issuers file {}", file.display()))?;
    IssuerConfig::read_file(&text).map_err(|why| anyhow::anyhow!("issuers file {}: {why}", file.display()))
}

/// `host:port`, with brackets around an IPv6 address.
fn host_port(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

//! Where the server listens, and how patiently.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// Where the server listens, and how patiently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenConfig {
    /// Where the API is served.
    pub api_address: SocketAddr,
    /// Where agents' streams are served, over mutual TLS.
    pub agent_address: SocketAddr,
    /// Serve the API without TLS. Refused for any address that is not loopback.
    pub plain_http: bool,
    /// Further names and addresses the server's certificate is for, besides localhost, 127.0.0.1 and ::1.
    pub names: Vec<String>,
    /// How long a TLS handshake may take.
    pub handshake_timeout: Duration,
    /// How long the head of a request may take, an idle connection included.
    pub header_timeout: Duration,
    /// How many connections one listener holds at once; further ones wait to be accepted.
    pub connections_max: usize,
    /// How long requests may go on after the server was told to end.
    pub shutdown_grace: Duration,
}

impl ListenConfig {
    /// For tests: free ports on loopback.
    pub fn for_testing() -> Self {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self { api_address: any, agent_address: any, ..Self::default() }
    }
}

impl Default for ListenConfig {
    fn default() -> Self {
        Self {
            api_address: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 8443)),
            agent_address: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 8444)),
            plain_http: false,
            names: vec![],
            handshake_timeout: Duration::from_secs(10),
            header_timeout: Duration::from_secs(60),
            connections_max: 20_000,
            shutdown_grace: Duration::from_secs(10),
        }
    }
}

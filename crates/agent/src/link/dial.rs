//! Getting to the server, and proving that one can.

use super::content::HandIns;
use crate::identity::Enrolled;
use anyhow::{Context as _, bail};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use protocol::agent::{FRAME_BYTES_MAX, STREAM_PATH};

/// How long one address may take to answer.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// The most addresses of one server that are tried.
const ADDRESSES_MAX: usize = 16;

/// Where the good addresses are kept: an isolated machine has no DNS.
const ADDRESSES_FILE: &str = "server-addresses.json";

/// A stream to the server.
pub(super) type Socket = WebSocketStream<TlsStream<TcpStream>>;

/// Gets to the server.
pub struct Dialer {
    tls: Arc<ClientConfig>,
    http: reqwest::Client,
    /// `host:port` of the agent listener.
    address: String,
    host: String,
    /// What the name was last resolved to.
    resolved: Mutex<Vec<SocketAddr>>,
    /// Where the server has proven itself, newest first.
    proven: Mutex<Vec<SocketAddr>>,
    file: PathBuf,
    hand_ins: HandIns,
}

impl Dialer {
    /// A dialer for the server this machine is enrolled with.
    pub fn new(enrolled: &Enrolled, state_dir: &std::path::Path) -> anyhow::Result<Self> {
        let roots = roots(&enrolled.answer.authority_pem)?;
        let certificate = CertificateDer::from_pem_slice(enrolled.answer.certificate_pem.as_bytes())?;
        let key = PrivateKeyDer::from_pem_slice(enrolled.key_pem.as_bytes())?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(roots)
            .with_client_auth_cert(vec![certificate], key)?;
        let address = enrolled.answer.agent_address.clone();
        let (host, _) = address.rsplit_once(':').context("the agent address has no port")?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_string();
        let file = state_dir.join(ADDRESSES_FILE);
        // Without it the first dial resolves the name; a file that cannot be read is as good as none.
        let proven =
            std::fs::read(&file).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        let http = reqwest::Client::builder().tls_backend_preconfigured(tls.clone()).build()?;
        Ok(Self {
            tls: Arc::new(tls),
            http,
            address,
            host,
            resolved: Mutex::default(),
            proven: Mutex::new(proven),
            file,
            hand_ins: HandIns::default(),
        })
    }

    /// The addresses at which the server has proven who it is, by a handshake on both sides. A name alone proves
    /// nothing: whoever answers DNS may name any address, and an isolated machine must not be left open to it.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        lock(&self.proven).clone()
    }

    pub(super) fn hand_ins(&self) -> &HandIns {
        &self.hand_ins
    }

    /// Opens the stream.
    pub async fn open(&self) -> anyhow::Result<Socket> {
        let stream = self.connect().await?;
        let mut limits = WebSocketConfig::default();
        limits.max_frame_size = Some(FRAME_BYTES_MAX);
        limits.max_message_size = Some(FRAME_BYTES_MAX);
        let url = format!("wss://{}{STREAM_PATH}", self.address);
        let upgrade = tokio_tungstenite::client_async_with_config(url, stream, Some(limits));
        let (socket, _) = tokio::time::timeout(CONNECT_WITHIN, upgrade).await??;
        Ok(socket)
    }

    /// Opens a new connection, with the handshake on both sides, and closes it again.
    pub async fn prove(&self, limit: Duration) -> anyhow::Result<()> {
        tokio::time::timeout(limit, self.connect()).await.context("the server did not answer in time")??;
        Ok(())
    }

    pub(super) fn http(&self) -> &reqwest::Client {
        &self.http
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.address)
    }

    async fn connect(&self) -> anyhow::Result<TlsStream<TcpStream>> {
        self.resolve().await;
        let connector = TlsConnector::from(Arc::clone(&self.tls));
        let name = ServerName::try_from(self.host.clone())?;
        let mut last = None;
        for address in self.candidates() {
            let attempt = async {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                connector.connect(name.clone(), stream).await
            };
            match tokio::time::timeout(CONNECT_WITHIN, attempt).await {
                Ok(Ok(stream)) => {
                    self.proved(address);
                    return Ok(stream);
                }
                Ok(Err(e)) => last = Some(anyhow::Error::new(e).context(address.to_string())),
                Err(_) => last = Some(anyhow::anyhow!("{address} did not answer")),
            }
        }
        match last {
            Some(e) => Err(e),
            None => bail!("{} has no address", self.address),
        }
    }

    /// What to try: what the name says now, then what was good before.
    fn candidates(&self) -> Vec<SocketAddr> {
        let mut candidates = lock(&self.resolved).clone();
        let before = self.addresses();
        candidates.extend(before.into_iter().filter(|address| !candidates.contains(address)).collect::<Vec<_>>());
        candidates
    }

    /// Looks the name up. Where that fails what was good before stays: an isolated machine has no DNS.
    async fn resolve(&self) {
        match tokio::net::lookup_host(&self.address).await {
            Ok(found) => *lock(&self.resolved) = found.take(ADDRESSES_MAX).collect(),
            Err(e) => {
                tracing::debug!(error = %e, "the server's name was not found");
                lock(&self.resolved).clear();
            }
        }
    }

    /// The server is at this address.
    fn proved(&self, address: SocketAddr) {
        let mut proven = lock(&self.proven);
        if proven.contains(&address) {
            return;
        }
        proven.insert(0, address);
        proven.truncate(ADDRESSES_MAX);
        let kept = serde_json::to_vec(&*proven).map_err(std::io::Error::other);
        if let Err(e) = kept.and_then(|bytes| std::fs::write(&self.file, bytes)) {
            tracing::warn!(error = %e, "the server's addresses could not be kept");
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each statement leaves it whole, so a panic elsewhere leaves nothing half-done in it.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// TLS that trusts this authority and nothing else, without a certificate of our own.
pub fn authority_only(authority_pem: &str) -> anyhow::Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots(authority_pem)?)
        .with_no_client_auth())
}

fn roots(authority_pem: &str) -> anyhow::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(authority_pem.as_bytes()) {
        roots.add(certificate.context("the authority's certificate")?)?;
    }
    if roots.is_empty() {
        bail!("the authority's file holds no certificate");
    }
    Ok(roots)
}

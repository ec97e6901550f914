//! Asking another issuer for its keys: over TLS only, without redirects, bounded in size and time, and only at addresses
//! that were looked at before.

use super::addresses::is_public;
use crate::config::IssuerConfig;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use reqwest::{StatusCode, Url};
use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// The largest answer, in bytes.
const ANSWER_BYTES_MAX: usize = 256 * 1024;

/// How long one question may take, from the name to the last byte.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    /// Not a URL that we would ask.
    #[error("{0} is no https URL without credentials")]
    Url(String),
    /// An address of our own networks.
    #[error("{0} is an address of a private network, and private_addresses is not set")]
    Private(IpAddr),
    /// No connection, no TLS, too slow.
    #[error("{}", chain(.0))]
    Http(#[from] reqwest::Error),
    /// Another status; redirects are not followed.
    #[error("it answers {0}")]
    Status(StatusCode),
    /// Too large.
    #[error("it answers more than {ANSWER_BYTES_MAX} bytes")]
    TooLarge,
}

fn chain(error: &reqwest::Error) -> String {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// Asks for documents.
pub(super) struct Fetcher {
    client: reqwest::Client,
    private_addresses: bool,
}

impl Fetcher {
    /// For an issuer: whom to trust, and where it may be.
    ///
    /// # Errors
    /// The CA file cannot be used, or TLS cannot be set up.
    pub(super) fn new(config: &IssuerConfig) -> Result<Self, String> {
        // An error says that there is a provider already, which will do.
        let _ = aws_lc_rs::default_provider().install_default();
        let private_addresses = config.private_addresses;
        let client = reqwest::Client::builder()
            .https_only(true)
            .redirect(Policy::none())
            .no_proxy()
            .referer(false)
            .timeout(ANSWER_WITHIN)
            .connect_timeout(ANSWER_WITHIN)
            // Each question looks at the address anew.
            .pool_max_idle_per_host(0)
            .dns_resolver(Looking { private_addresses });
        let client = match &config.ca_file {
            None => client,
            Some(file) => client.tls_backend_preconfigured(trusting(file)?),
        };
        let client = client.build().map_err(|e| format!("issuer {}: {}", config.issuer, chain(&e)))?;
        Ok(Self { client, private_addresses })
    }

    /// The document at `url`.
    ///
    /// # Errors
    /// Not https, a private address, no answer in time, another status than 200, too large.
    pub(super) async fn get(&self, url: &str) -> Result<Vec<u8>, FetchError> {
        let url = checked_url(url).ok_or_else(|| FetchError::Url(url.chars().take(200).collect()))?;
        // Such a host is never looked up.
        let literal = url.host_str().map(|host| host.trim_matches(['[', ']'])).and_then(|host| host.parse().ok());
        if let Some(address) = literal.filter(|address| !self.private_addresses && !is_public(*address)) {
            return Err(FetchError::Private(address));
        }
        let mut answer = self.client.get(url).send().await?;
        if answer.status() != StatusCode::OK {
            return Err(FetchError::Status(answer.status()));
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await? {
            if bytes.len() + chunk.len() > ANSWER_BYTES_MAX {
                return Err(FetchError::TooLarge);
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }
}

/// A URL that may be asked: https, with a host and without credentials.
pub(crate) fn checked_url(url: &str) -> Option<Url> {
    let url = Url::parse(url).ok()?;
    let fits = url.scheme() == "https" && url.has_host() && url.username().is_empty() && url.password().is_none();
    fits.then_some(url)
}

/// TLS with the certificates of this PEM file as the only roots.
fn trusting(file: &Path) -> Result<rustls::ClientConfig, String> {
    let unusable = |why: &dyn std::fmt::Display| format!("CA file {}: {why}", file.display());
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|e| unusable(&e))? {
        roots.add(certificate.map_err(|e| unusable(&e))?).map_err(|e| unusable(&e))?;
    }
    if roots.is_empty() {
        return Err(unusable(&"no certificate in it"));
    }
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|e| unusable(&e))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

/// Looks names up; what it returns is what is connected to, so no name can lead elsewhere afterwards.
struct Looking {
    private_addresses: bool,
}

impl Resolve for Looking {
    fn resolve(&self, name: Name) -> Resolving {
        let private_addresses = self.private_addresses;
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            // One that leads inside spoils them all: it is what somebody wanted us to try next.
            if let Some(inside) = found.iter().find(|found| !private_addresses && !is_public(found.ip())) {
                return Err(FetchError::Private(inside.ip()).into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

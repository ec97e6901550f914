//! How the two listeners speak TLS: the API to everyone, the agent listener only to machines we certified.

use crate::authority::{Authority, AuthorityError};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::WebPkiClientVerifier;
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, ServerConfig};
use std::sync::Arc;

/// Why a listener cannot speak TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The authority.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// rustls.
    #[error("TLS cannot be set up: {0}")]
    Rustls(#[from] rustls::Error),
    /// The verifier of client certificates.
    #[error("client certificates cannot be verified: {0}")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
}

/// The API listener: TLS 1.2 and 1.3, since shipping clients still have no more; HTTP/2 and HTTP/1.1.
///
/// # Errors
/// The authority's files do not make a TLS identity.
pub fn api(authority: &Authority) -> Result<Arc<ServerConfig>, TlsError> {
    let (chain, key) = authority.server_identity()?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13, &TLS12])?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// The agent listener: TLS 1.3 only, a certificate of our authority required. HTTP/1.1, because a stream is a WebSocket.
///
/// # Errors
/// The authority's files do not make a TLS identity.
pub fn agents(authority: &Authority) -> Result<Arc<ServerConfig>, TlsError> {
    let (chain, key) = authority.server_identity()?;
    let mut roots = RootCertStore::empty();
    roots.add(authority.certificate()?)?;
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider()).build()?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Named here, so that nothing depends on which provider happens to be the process's default.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

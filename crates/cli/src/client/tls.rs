//! Whom the client trusts: one CA file and nobody else, or what the operating system trusts.

use super::error::ClientError;
use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::path::Path;
use std::sync::Arc;

/// TLS with the certificates of this PEM file as the only roots.
pub(super) fn trusting(ca_file: &Path) -> Result<rustls::ClientConfig, ClientError> {
    let unusable = |why: &dyn std::fmt::Display| ClientError::Config(format!("CA file {}: {why}", ca_file.display()));
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(ca_file).map_err(|error| unusable(&error))? {
        let certificate = certificate.map_err(|error| unusable(&error))?;
        roots.add(certificate).map_err(|error| unusable(&error))?;
    }
    if roots.is_empty() {
        return Err(unusable(&"no certificate in it"));
    }
    let mut config = rustls::ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| ClientError::Config(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// Makes reqwest's own set-up usable, which trusts what the operating system trusts: it takes the process's provider.
pub(super) fn install_provider() {
    // An error says that there is one already, which will do.
    let _ = aws_lc_rs::default_provider().install_default();
}

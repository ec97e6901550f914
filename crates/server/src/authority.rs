//! The installation's own certificate authority: made at the first start, it certifies the server and every machine.
//!
//! What a machine is called comes from the server alone; nothing in its certificate request but the public key is used.

use crate::secret_file::{self, SecretFileError};
use domain::ids::{Digest, MachineId};
use domain::time::Timestamp;
use protocol::agent::MACHINE_URN;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType, SerialNumber,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::path::Path;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::time::ASN1Time;

/// The authority's certificate, in the data directory: what clients and machines are given to trust.
pub const AUTHORITY_FILE: &str = "ca.pem";

/// The authority's key, in the data directory.
pub const AUTHORITY_KEY_FILE: &str = "ca-key.pem";

/// The server's key and certificate in one file, so that they cannot come apart.
pub const SERVER_FILE: &str = "server.pem";

/// The longest certificate request, in bytes.
pub const CSR_BYTES_MAX: usize = 16 * 1024;

/// The names the server's certificate is always for.
const OWN_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

const DAY_SECONDS: i64 = 86_400;

/// How long the authority lives.
const AUTHORITY_DAYS: i64 = 20 * 365;

/// How long the server's certificate lives: what current browsers take at most.
const SERVER_DAYS: i64 = 397;

/// How long before its end the server's certificate is renewed.
const RENEW_BEFORE_DAYS: i64 = 60;

/// Certificates begin this long before they are made: other machines' clocks may be late.
const CLOCK_SKEW_SECONDS: i64 = DAY_SECONDS;

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// A key file.
    #[error(transparent)]
    File(#[from] SecretFileError),
    /// A certificate cannot be made.
    #[error("no certificate could be made: {0}")]
    Make(#[from] rcgen::Error),
    /// A file of ours cannot be read.
    #[error("{file} cannot be read: {why}")]
    Unreadable {
        /// Which file.
        file: &'static str,
        /// Why.
        why: String,
    },
    /// A certificate request that is not taken.
    #[error("{0}")]
    Request(&'static str),
}

/// The authority, and the server's own certificate.
pub struct Authority {
    certificate_pem: String,
    issuer: Issuer<'static, KeyPair>,
    begins: ASN1Time,
    ends: ASN1Time,
    server_pem: Vec<u8>,
}

impl Authority {
    /// Opens the authority in `data_dir`, made at the first start, with a server certificate for `names` (host names
    /// and addresses) besides its own; that one is made anew when it is near its end or its names have changed.
    ///
    /// # Errors
    /// Files cannot be read or written, others may read the keys, or a name is none.
    pub fn open(data_dir: &Path, names: &[String], now: Timestamp) -> Result<Self, AuthorityError> {
        let make_key = || KeyPair::generate().map(|key| key.serialize_pem().into_bytes()).map_err(|e| e.to_string());
        let key_pem = secret_file::load_or_make(&data_dir.join(AUTHORITY_KEY_FILE), make_key)?;
        let key = KeyPair::from_pem(text(AUTHORITY_KEY_FILE, &key_pem)?)?;
        let make_certificate = || authority_certificate(&key, now).map(String::into_bytes).map_err(|e| e.to_string());
        let pem = secret_file::load_or_make_public(&data_dir.join(AUTHORITY_FILE), make_certificate)?;
        let certificate_pem = text(AUTHORITY_FILE, &pem)?.to_string();
        let der = CertificateDer::from_pem_slice(&pem).map_err(|e| unreadable(AUTHORITY_FILE, &e))?;
        let (_, parsed) = X509Certificate::from_der(&der).map_err(|e| unreadable(AUTHORITY_FILE, &e))?;
        if parsed.public_key().subject_public_key.data.as_ref() != key.public_key_raw() {
            return Err(unreadable(AUTHORITY_FILE, &format!("it does not belong to {AUTHORITY_KEY_FILE}")));
        }
        let (begins, ends) = (parsed.validity().not_before, parsed.validity().not_after);
        let issuer = Issuer::from_ca_cert_der(&der, key)?;
        let mut authority = Self { certificate_pem, issuer, begins, ends, server_pem: vec![] };
        authority.server_pem = authority.server(data_dir, names, now, &parsed)?;
        Ok(authority)
    }

    /// The authority's certificate, PEM.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// The authority's certificate, DER.
    ///
    /// # Errors
    /// Never, since it was read when the authority was opened.
    pub fn certificate(&self) -> Result<CertificateDer<'static>, AuthorityError> {
        CertificateDer::from_pem_slice(self.certificate_pem.as_bytes()).map_err(|e| unreadable(AUTHORITY_FILE, &e))
    }

    /// The server's certificate chain and its key.
    ///
    /// # Errors
    /// Never, since both were read when the authority was opened.
    pub fn server_identity(&self) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), AuthorityError> {
        let certificate = CertificateDer::from_pem_slice(&self.server_pem).map_err(|e| unreadable(SERVER_FILE, &e))?;
        let key = PrivateKeyDer::from_pem_slice(&self.server_pem).map_err(|e| unreadable(SERVER_FILE, &e))?;
        Ok((vec![certificate], key))
    }

    /// The certificate, PEM, of a machine in this enrolment, for the key of its request. It lives as long as the
    /// authority: what ends it is the next enrolment, not a clock.
    ///
    /// # Errors
    /// The request is too long, malformed, not signed by its key, or has a kind of key that is not taken.
    pub fn sign_machine(&self, csr_pem: &str, machine: MachineId, incarnation: u32) -> Result<String, AuthorityError> {
        if csr_pem.len() > CSR_BYTES_MAX {
            return Err(AuthorityError::Request("the certificate request is too long"));
        }
        let request = CertificateSigningRequestParams::from_pem(csr_pem)
            .map_err(|_| AuthorityError::Request("the certificate request is malformed or not signed by its key"))?;
        let key = request.public_key;
        let taken = [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384, &rcgen::PKCS_ED25519];
        if !taken.contains(&key.algorithm()) {
            return Err(AuthorityError::Request("the key must be ECDSA P-256, ECDSA P-384 or Ed25519"));
        }
        let name = format!("{MACHINE_URN}{machine}:{incarnation}");
        let mut params = leaf(&machine.to_string(), &[name.as_bytes(), rcgen::PublicKeyData::der_bytes(&key)]);
        params.subject_alt_names = vec![SanType::URI(name.try_into()?)];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.not_before = self.begins.to_datetime();
        params.not_after = self.ends.to_datetime();
        Ok(params.signed_by(&key, &self.issuer)?.pem())
    }

    /// The server's key and certificate, as they are on disk or made anew.
    fn server(
        &self,
        data_dir: &Path,
        names: &[String],
        now: Timestamp,
        authority: &X509Certificate<'_>,
    ) -> Result<Vec<u8>, AuthorityError> {
        let mut wanted: Vec<String> = OWN_NAMES.iter().map(|name| (*name).to_string()).collect();
        wanted.extend(names.iter().cloned());
        let wanted = CertificateParams::new(wanted)?.subject_alt_names;
        let path = data_dir.join(SERVER_FILE);
        let make = || self.make_server(wanted.clone(), now).map_err(|e| e.to_string());
        let stands = secret_file::load_or_make(&path, make)?;
        if is_good(&stands, &wanted, now, authority) {
            return Ok(stands);
        }
        tracing::info!("the server's certificate is made anew");
        let fresh = self.make_server(wanted, now)?;
        secret_file::replace(&path, &fresh)?;
        Ok(fresh)
    }

    fn make_server(&self, names: Vec<SanType>, now: Timestamp) -> Result<Vec<u8>, AuthorityError> {
        let key = KeyPair::generate()?;
        let mut params = leaf("Countermand server", &[b"server", key.public_key_raw()]);
        params.subject_alt_names = names;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let now = now.as_seconds();
        params.not_before = instant(now - CLOCK_SKEW_SECONDS)?.to_datetime();
        params.not_after = instant(now + SERVER_DAYS * DAY_SECONDS)?.min(self.ends).to_datetime();
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(format!("{}{}", key.serialize_pem(), certificate.pem()).into_bytes())
    }
}

fn authority_certificate(key: &KeyPair, now: Timestamp) -> Result<String, AuthorityError> {
    let mut params = CertificateParams::default();
    // Two installations must not share a name: a client that trusts both could not tell their authorities apart.
    let mut mark = Digest::of(key.public_key_raw()).to_string();
    mark.truncate(8);
    params.distinguished_name = named(&format!("Countermand authority {mark}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.serial_number = Some(serial(&[b"authority", key.public_key_raw()]));
    let now = now.as_seconds();
    params.not_before = instant(now - CLOCK_SKEW_SECONDS)?.to_datetime();
    params.not_after = instant(now + AUTHORITY_DAYS * DAY_SECONDS)?.to_datetime();
    Ok(params.self_signed(key)?.pem())
}

/// What server and machine certificates have in common.
fn leaf(name: &str, serial_of: &[&[u8]]) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = named(name);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    params.serial_number = Some(serial(serial_of));
    params
}

fn named(name: &str) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    names.push(DnType::CommonName, name);
    names
}

/// A positive serial number of 16 bytes, another one for every certificate of other content.
fn serial(parts: &[&[u8]]) -> SerialNumber {
    let mut bytes = Digest::of(&parts.concat()).0[..16].to_vec();
    bytes[0] = (bytes[0] & 0x7f) | 0x40;
    SerialNumber::from_slice(&bytes)
}

/// Whether what is on disk still serves: these names, our authority's, not near its end.
fn is_good(pem: &[u8], wanted: &[SanType], now: Timestamp, authority: &X509Certificate<'_>) -> bool {
    let Ok(der) = CertificateDer::from_pem_slice(pem) else { return false };
    let Ok((_, certificate)) = X509Certificate::from_der(&der) else { return false };
    let renew_at = certificate.validity().not_after.timestamp() - RENEW_BEFORE_DAYS * DAY_SECONDS;
    PrivateKeyDer::from_pem_slice(pem).is_ok()
        && now.as_seconds() < renew_at
        && certificate.validity().not_before.timestamp() <= now.as_seconds()
        && certificate.verify_signature(Some(authority.public_key())).is_ok()
        && names_of(&certificate) == words(wanted)
}

fn names_of(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(names)) = certificate.subject_alternative_name() else { return vec![] };
    let word = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => (*name).to_string(),
        GeneralName::IPAddress(octets) => format!("{octets:?}"),
        other => other.to_string(),
    };
    names.value.general_names.iter().map(word).collect()
}

fn words(names: &[SanType]) -> Vec<String> {
    let word = |name: &SanType| match name {
        SanType::DnsName(name) => name.as_str().to_string(),
        SanType::IpAddress(std::net::IpAddr::V4(address)) => format!("{:?}", address.octets()),
        SanType::IpAddress(std::net::IpAddr::V6(address)) => format!("{:?}", address.octets()),
        other => format!("{other:?}"),
    };
    names.iter().map(word).collect()
}

fn instant(seconds: i64) -> Result<ASN1Time, AuthorityError> {
    ASN1Time::from_timestamp(seconds).map_err(|_| AuthorityError::Make(rcgen::Error::Time))
}

fn text<'a>(file: &'static str, bytes: &'a [u8]) -> Result<&'a str, AuthorityError> {
    std::str::from_utf8(bytes).map_err(|e| unreadable(file, &e))
}

fn unreadable(file: &'static str, why: &dyn std::fmt::Display) -> AuthorityError {
    AuthorityError::Unreadable { file, why: why.to_string() }
}

#[cfg(test)]
mod tests;

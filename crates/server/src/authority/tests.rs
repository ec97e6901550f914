use super::*;

const NOW: Timestamp = Timestamp(17_900_000_000_000_000);

fn open(dir: &Path, names: &[&str], days_later: i64) -> Authority {
    let names: Vec<String> = names.iter().map(|name| (*name).to_string()).collect();
    Authority::open(dir, &names, NOW.plus_seconds(days_later * DAY_SECONDS)).unwrap()
}

fn request() -> (KeyPair, String) {
    let key = KeyPair::generate().unwrap();
    // What a request says of itself is ignored.
    let mut params = CertificateParams::new(vec!["somebody.else".to_string()]).unwrap();
    params.distinguished_name = named("root");
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let pem = params.serialize_request(&key).unwrap().pem().unwrap();
    (key, pem)
}

#[test]
fn the_authority_stays_and_the_server_is_renewed_near_its_end_or_for_other_names() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path(), &[], 0);
    let same = open(dir.path(), &[], SERVER_DAYS - RENEW_BEFORE_DAYS - 1);
    assert_eq!(first.certificate_pem(), same.certificate_pem());
    assert_eq!(first.server_pem, same.server_pem);
    let other_names = open(dir.path(), &["control.example", "192.0.2.7"], 0);
    assert_ne!(first.server_pem, other_names.server_pem);
    let renewed = open(dir.path(), &["control.example", "192.0.2.7"], SERVER_DAYS - RENEW_BEFORE_DAYS + 1);
    assert_ne!(renewed.server_pem, other_names.server_pem);
    assert_eq!(renewed.certificate_pem(), first.certificate_pem());
}

#[test]
fn a_machine_is_called_what_the_server_says() {
    let dir = tempfile::tempdir().unwrap();
    let authority = open(dir.path(), &[], 0);
    let (key, csr) = request();
    let pem = authority.sign_machine(&csr, MachineId([0xab; 20]), 3).unwrap();
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
    let (_, certificate) = X509Certificate::from_der(&der).unwrap();
    assert_eq!(certificate.public_key().subject_public_key.data.as_ref(), key.public_key_raw());
    let names = certificate.subject_alternative_name().unwrap().unwrap();
    let expected = format!("{MACHINE_URN}{}:3", "ab".repeat(20));
    assert!(matches!(names.value.general_names[..], [GeneralName::URI(uri)] if uri == expected));
    assert!(!certificate.is_ca());
    let usage = certificate.extended_key_usage().unwrap().unwrap().value;
    assert!(usage.client_auth && !usage.server_auth && !usage.any);
    assert!(!certificate.key_usage().unwrap().unwrap().value.key_cert_sign());
}

#[test]
fn requests_that_are_not_taken() {
    let dir = tempfile::tempdir().unwrap();
    let authority = open(dir.path(), &[], 0);
    let sign = |csr: &str| authority.sign_machine(csr, MachineId([1; 20]), 1);
    let (_, csr) = request();
    assert!(sign(&csr).is_ok());
    for bad in ["", "hello", &csr[..csr.len() / 2], &" ".repeat(CSR_BYTES_MAX + 1)] {
        assert!(sign(bad).is_err());
    }
    // Flip a bit of the key: the request is no longer signed by it.
    let der = rustls::pki_types::CertificateSigningRequestDer::from_pem_slice(csr.as_bytes()).unwrap();
    let key_at = der.windows(2).position(|pair| pair == [0x00, 0x04]).unwrap() + 10;
    let mut forged = der.to_vec();
    forged[key_at] ^= 1;
    use base64::Engine as _;
    let encoded = base64::engine::general_purpose::STANDARD.encode(&forged);
    let forged = format!("-----BEGIN CERTIFICATE REQUEST-----\n{encoded}\n-----END CERTIFICATE REQUEST-----\n");
    assert!(sign(&forged).is_err());
}

#[test]
fn a_certificate_of_another_authority_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path(), &[], 0);
    std::fs::remove_file(dir.path().join(AUTHORITY_KEY_FILE)).unwrap();
    assert!(Authority::open(dir.path(), &[], NOW).is_err());
    // With both gone there is a new authority, and the server's certificate follows it.
    std::fs::remove_file(dir.path().join(AUTHORITY_FILE)).unwrap();
    std::fs::remove_file(dir.path().join(AUTHORITY_KEY_FILE)).unwrap();
    let before = std::fs::read(dir.path().join(SERVER_FILE)).unwrap();
    assert_ne!(open(dir.path(), &[], 0).server_pem, before);
}

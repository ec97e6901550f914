//! Enrolment: whoever reaches the API's listener can send this, before anything is known of them. A machine gets on
//! record only with a token that is good, under a certificate that names it and nothing else; what is refused uses no
//! token up.

use crate::desk::{FixedSigner, START_SECONDS, StillClock, block_on, desk};
use crate::dice::Dice;
use axum::body::Body;
use axum::http::Request;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::ids::MachineId;
use domain::time::Timestamp;
use http_body_util::BodyExt as _;
use protocol::agent::{ENROL_PATH, EnrolAnswer, MACHINE_URN};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::json;
use server::actions::{Actions, MachineQuery};
use server::agent_link::{AgentLink, enrol_router};
use server::authority::Authority;
use server::wake::Wake;
use std::sync::{Arc, LazyLock};
use store::{MemoryStore, Store};
use tower::ServiceExt as _;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

static AUTHORITY: LazyLock<Arc<Authority>> = LazyLock::new(|| {
    let now = Timestamp::from_seconds(START_SECONDS);
    Arc::new(Authority::open(desk().dir.path(), &[], now).expect("an authority"))
});

/// A request for a certificate as machines make it.
static REQUEST: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let key = rcgen::KeyPair::generate().expect("a key");
    let request = rcgen::CertificateParams::default().serialize_request(&key).expect("a request");
    request.der().to_vec()
});

/// Sends an enrolment request to a server of its own.
pub(crate) fn check(bytes: &[u8]) {
    let mut dice = Dice::new(bytes);
    block_on(async {
        let (store, clock) = (Arc::new(MemoryStore::new()) as Arc<dyn Store>, Arc::new(StillClock::default()));
        let token = server::admin::add_enrol_token(&*store, &*clock, 1, 60).await.expect("a token");
        let actions = Actions::new(Arc::clone(&store), Arc::default());
        let link = AgentLink {
            actions,
            wake: Arc::new(Wake::default()),
            authority: Arc::clone(&AUTHORITY),
            signer: Arc::new(FixedSigner::of(1)),
            clock,
            artifact_dir: desk().dir.path().into(),
            agent_address: "localhost:1".into(),
        };
        let body = request(&mut dice, &token);
        let names_the_token = body.windows(token.len()).any(|window| window == token.as_bytes());
        match sent(&link, body).await {
            Some(answer) => {
                assert!(names_the_token, "enrolled without a token");
                assert_certifies(&answer);
                assert_eq!(names(&*store).await.len(), 1);
                // Used up.
                assert!(sent(&link, good(&token)).await.is_none());
            }
            None => {
                assert!(names(&*store).await.is_empty(), "refused, and on record all the same");
                assert!(sent(&link, good(&token)).await.is_some(), "a refused request has used the token up");
            }
        }
    });
}

async fn sent(link: &AgentLink, body: Vec<u8>) -> Option<EnrolAnswer> {
    let request = Request::post(ENROL_PATH).body(Body::from(body)).expect("a request");
    let response = enrol_router(link.clone()).oneshot(request).await.expect("an answer");
    let status = response.status();
    let body = response.into_body().collect().await.expect("a body").to_bytes();
    assert!(!status.is_server_error(), "{status}: {}", String::from_utf8_lossy(&body));
    status.is_success().then(|| serde_json::from_slice(&body).expect("an answer"))
}

async fn names(store: &dyn Store) -> Vec<String> {
    let query = MachineQuery::all(10);
    store.machines(&query).await.expect("the store answers").into_iter().map(|machine| machine.name).collect()
}

fn good(token: &str) -> Vec<u8> {
    json!({ "token": token, "csr_pem": pem(&REQUEST), "name": "web-03" }).to_string().into_bytes()
}

fn request(dice: &mut Dice<'_>, token: &str) -> Vec<u8> {
    if dice.flag() {
        return dice.rest().to_vec();
    }
    let token = if dice.flag() { dice.text() } else { token.to_string() };
    let name = if dice.flag() { dice.text() } else { "web-03".to_string() };
    let csr_pem = match dice.below(3) {
        0 => pem(&REQUEST),
        1 => String::from_utf8_lossy(dice.rest()).into_owned(),
        _ => {
            let mut der = REQUEST.clone();
            let at = (usize::from(dice.byte()) << 8 | usize::from(dice.byte())) % der.len();
            let cut = usize::from(dice.byte()).min(der.len() - at);
            der.splice(at..at + cut, dice.rest().iter().copied());
            pem(&der)
        }
    };
    json!({ "token": token, "csr_pem": csr_pem, "name": name }).to_string().into_bytes()
}

fn pem(der: &[u8]) -> String {
    const LINE_CHARS: usize = 64;
    let text = STANDARD.encode(der);
    let lines: Vec<&str> =
        (0..text.len()).step_by(LINE_CHARS).map(|at| &text[at..text.len().min(at + LINE_CHARS)]).collect();
    format!("-----BEGIN CERTIFICATE REQUEST-----\n{}\n-----END CERTIFICATE REQUEST-----\n", lines.join("\n"))
}

/// The certificate is for this machine's key and name, and for nothing that its request may have asked for.
fn assert_certifies(answer: &EnrolAnswer) {
    let id = MachineId::parse(&answer.machine).expect("an id");
    let der = CertificateDer::from_pem_slice(answer.certificate_pem.as_bytes()).expect("a certificate");
    let (_, certificate) = X509Certificate::from_der(&der).expect("a certificate");
    let names = certificate.subject_alternative_name().expect("readable").expect("a name");
    let urn = format!("{MACHINE_URN}{id}:1");
    assert!(matches!(names.value.general_names[..], [GeneralName::URI(name)] if name == urn));
    assert!(!certificate.is_ca());
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let raw = br#"{"token":"x","csr_pem":"-----BEGIN CERTIFICATE REQUEST-----\nMAA=\n-----END CERTIFICATE REQUEST-----\n","name":"x"}"#;
    vec![
        vec![],
        [&[1][..], raw].concat(),
        vec![0, 0, 0, 0],
        vec![0, 1, 0, 1, b'x', 0, 0],
        vec![0, 0, 1, 100, 0, 0],
        vec![0, 0, 0, 1, b'-'],
        vec![0, 0, 0, 2, 0, 20, 0, 0x30],
        vec![0, 0, 0, 2, 0, 60, 1, 0],
        vec![0, 0, 0, 2, 0, 2, 1, 0x84, 0xff, 0xff, 0xff, 0xff],
    ]
}

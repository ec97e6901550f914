//! The listeners themselves: TLS with our own authority, client certificates, upgrades, plain HTTP.

use axum::extract::ws::WebSocketUpgrade;
use axum::routing::get;
use axum::{Extension, Router};
use domain::ids::MachineId;
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use server::authority::Authority;
use server::clock::{Clock as _, SystemClock};
use server::config::ListenConfig;
use server::listen::{PeerAddress, PeerCertificate, Scheme, serve};
use server::tls;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_rustls::TlsConnector;

const MACHINE: MachineId = MachineId([7; 20]);

fn authority(dir: &tempfile::TempDir) -> Authority {
    Authority::open(dir.path(), &["control.example".into()], SystemClock.now()).unwrap()
}

/// A server that says who asks; its address, and what ends it.
async fn start(tls: Option<Arc<rustls::ServerConfig>>, config: ListenConfig) -> (SocketAddr, oneshot::Sender<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (end, ended) = oneshot::channel();
    let who = async |Extension(peer): Extension<PeerAddress>, Extension(scheme): Extension<Scheme>| {
        format!("{} {}", scheme.0, peer.0.ip())
    };
    let echo = async |certificate: Option<Extension<PeerCertificate>>, upgrade: WebSocketUpgrade| {
        let length = certificate.map_or(0, |certificate| certificate.0.0.len());
        upgrade.on_upgrade(move |mut socket| async move {
            let _ = socket.send(format!("certificate of {length} bytes").into()).await;
        })
    };
    let router = Router::new().route("/who", get(who)).route("/socket", get(echo));
    tokio::spawn(async move {
        let ended = async { drop(ended.await) };
        serve(listener, tls, router, &config, ended).await.unwrap();
    });
    (address, end)
}

fn client(authority: &Authority, address: SocketAddr) -> reqwest::Client {
    // Somebody else in this process may have been first.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let root = reqwest::Certificate::from_pem(authority.certificate_pem().as_bytes()).unwrap();
    reqwest::Client::builder().tls_certs_only([root]).resolve("control.example", address).build().unwrap()
}

#[tokio::test]
async fn our_own_authority_certifies_every_name_of_the_server() {
    let dir = tempfile::tempdir().unwrap();
    let authority = authority(&dir);
    let (address, _end) = start(Some(tls::api(&authority).unwrap()), ListenConfig::for_testing()).await;
    let client = client(&authority, address);
    let port = address.port();
    for host in ["localhost", "127.0.0.1", "control.example"] {
        let answer = client.get(format!("https://{host}:{port}/who")).send().await.unwrap();
        assert_eq!(answer.version(), reqwest::Version::HTTP_2, "{host}");
        assert_eq!(answer.text().await.unwrap(), "https 127.0.0.1");
    }
    // Whoever does not know our authority does not speak to us.
    let stranger = reqwest::Client::builder().tls_certs_only([]).build().unwrap();
    assert!(stranger.get(format!("https://localhost:{port}/who")).send().await.is_err());
}

/// A TLS client with the certificate of a machine that `certified_by` has signed, if any.
fn machine(authority: &Authority, certified_by: Option<&Authority>) -> TlsConnector {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(authority.certificate().unwrap()).unwrap();
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let builder = builder.with_root_certificates(roots);
    let config = match certified_by {
        None => builder.with_no_client_auth(),
        Some(signer) => {
            let key = KeyPair::generate().unwrap();
            let csr = CertificateParams::default().serialize_request(&key).unwrap().pem().unwrap();
            let pem = signer.sign_machine(&csr, MACHINE, 1).unwrap();
            let certificate = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
            let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap();
            builder.with_client_auth_cert(vec![certificate], key).unwrap()
        }
    };
    TlsConnector::from(Arc::new(config))
}

/// Asks for an upgrade and returns what comes back until the server closes.
async fn upgrade(connector: TlsConnector, address: SocketAddr) -> std::io::Result<String> {
    let tcp = TcpStream::connect(address).await?;
    let mut tls = connector.connect(ServerName::try_from("localhost").unwrap(), tcp).await?;
    let request = "GET /socket HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    tls.write_all(request.as_bytes()).await?;
    let mut read = Vec::new();
    let ended = tls.read_to_end(&mut read).await;
    if read.is_empty() {
        ended?;
    }
    Ok(String::from_utf8_lossy(&read).into_owned())
}

#[tokio::test]
async fn only_machines_we_certified_are_let_in_and_their_streams_upgrade() {
    let (dir, other_dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (authority, other) = (authority(&dir), authority(&other_dir));
    let (address, _end) = start(Some(tls::agents(&authority).unwrap()), ListenConfig::for_testing()).await;
    let told = upgrade(machine(&authority, Some(&authority)), address).await.unwrap();
    assert!(told.starts_with("HTTP/1.1 101 "), "{told}");
    assert!(told.contains("certificate of ") && !told.contains("of 0 bytes"), "{told}");
    for stranger in [None, Some(&other)] {
        assert!(upgrade(machine(&authority, stranger), address).await.is_err());
    }
}

#[tokio::test]
async fn plain_http_only_when_asked_for_and_only_on_loopback() {
    let asked = || ListenConfig { plain_http: true, ..ListenConfig::for_testing() };
    let (address, end) = start(None, asked()).await;
    let mut tcp = TcpStream::connect(address).await.unwrap();
    tcp.write_all(b"GET /who HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut read = String::new();
    tcp.read_to_string(&mut read).await.unwrap();
    assert!(read.ends_with("http 127.0.0.1"), "{read}");
    end.send(()).unwrap();

    for (address, config) in [("127.0.0.1:0", ListenConfig::for_testing()), ("0.0.0.0:0", asked())] {
        let listener = TcpListener::bind(address).await.unwrap();
        let served = serve(listener, None, Router::new(), &config, std::future::pending()).await;
        assert_eq!(served.unwrap_err().kind(), std::io::ErrorKind::InvalidInput, "{address}");
    }
}

#[tokio::test]
async fn whoever_says_nothing_or_half_a_preface_is_let_go() {
    let dir = tempfile::tempdir().unwrap();
    let authority = authority(&dir);
    let patience = Duration::from_millis(200);
    // One at a time: the next is only let in when the one before is gone.
    let config = ListenConfig { header_timeout: patience, connections_max: 1, ..ListenConfig::for_testing() };
    let plain = ListenConfig { plain_http: true, ..config.clone() };
    let (plain_address, _plain_end) = start(None, plain).await;
    let (address, _end) = start(Some(tls::api(&authority).unwrap()), config).await;
    for said in ["", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r", "P", "GET /who HTTP/1.1\r\nHost"] {
        let mut tcp = TcpStream::connect(plain_address).await.unwrap();
        let held = async {
            tcp.write_all(said.as_bytes()).await.unwrap();
            let _ = tcp.read_to_end(&mut Vec::new()).await;
        };
        tokio::time::timeout(Duration::from_secs(10), held).await.unwrap_or_else(|_| panic!("held: {said:?}"));
        let held = async {
            let tcp = TcpStream::connect(address).await.unwrap();
            let name = ServerName::try_from("localhost").unwrap();
            let mut tls = machine(&authority, None).connect(name, tcp).await.unwrap();
            tls.write_all(said.as_bytes()).await.unwrap();
            let _ = tls.read_to_end(&mut Vec::new()).await;
        };
        tokio::time::timeout(Duration::from_secs(10), held).await.unwrap_or_else(|_| panic!("held: {said:?}"));
    }
    let answer = client(&authority, address).get(format!("https://localhost:{}/who", address.port())).send().await;
    assert_eq!(answer.unwrap().version(), reqwest::Version::HTTP_2);
}

#[tokio::test]
async fn a_refusal_reaches_a_client_that_is_still_writing_its_body() {
    let rig = crate::rig::Rig::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = rig.router.clone();
    let config = ListenConfig { plain_http: true, ..ListenConfig::for_testing() };
    tokio::spawn(async move { serve(listener, None, router, &config, std::future::pending()).await });
    let mut tcp = TcpStream::connect(address).await.unwrap();
    let length = 16 << 20;
    let head = format!("POST /api/libraryfiles HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n");
    tcp.write_all(head.as_bytes()).await.unwrap();
    // A client that writes all before it reads anything, as simple ones do.
    tcp.write_all(&vec![0; length]).await.unwrap();
    let mut read = vec![0; 1024];
    let count = tcp.read(&mut read).await.unwrap();
    assert!(read[..count].starts_with(b"HTTP/1.1 401 "), "{}", String::from_utf8_lossy(&read[..count]));
}

#[tokio::test]
async fn told_to_end_it_finishes_what_is_open_and_takes_nothing_new() {
    let dir = tempfile::tempdir().unwrap();
    let authority = authority(&dir);
    let (address, end) = start(Some(tls::api(&authority).unwrap()), ListenConfig::for_testing()).await;
    let client = client(&authority, address);
    let url = format!("https://localhost:{}/who", address.port());
    client.get(&url).send().await.unwrap();
    end.send(()).unwrap();
    // The listener closes; until then a connection may still be taken.
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(client.get(&url).send().await.is_err());
}

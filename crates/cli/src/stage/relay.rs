//! Bringing a port inside the stage to the caller's own network.
//!
//! Network namespaces share no TCP, but a unix socket is a file and crosses them. So init carries
//! between a unix socket and the port, and the caller between 127.0.0.1 and that unix socket. One
//! side closing its half is passed on as that, and each side runs on a thread of its own, so that
//! a caller need not be asynchronous.

use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{Semaphore, oneshot};

use super::HUB_IPV4;

/// A relay that runs until this is dropped.
pub(super) struct Relay {
    _stop: oneshot::Sender<()>,
}

/// The caller's side: listens on a free port of 127.0.0.1 and carries to the unix socket.
pub(super) fn tcp_to_unix(socket: PathBuf) -> io::Result<(SocketAddr, Relay)> {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let relay = run(move || async move {
        let listener = TcpListener::from_std(listener)?;
        carry_all(async || Ok(without_delay(listener.accept().await?.0)), move || UnixStream::connect(socket.clone()))
            .await
    })?;
    Ok((address, relay))
}

/// Init's side: listens on the unix socket and carries to the port in the hub.
pub(super) fn unix_to_tcp(socket: &Path, port: u16) -> io::Result<Relay> {
    let listener = std::os::unix::net::UnixListener::bind(socket)?;
    listener.set_nonblocking(true)?;
    run(move || async move {
        let listener = UnixListener::from_std(listener)?;
        carry_all(
            async || Ok(listener.accept().await?.0),
            move || async move { Ok(without_delay(TcpStream::connect((HUB_IPV4, port)).await?)) },
        )
        .await
    })
}

/// Runs the relay on a thread of its own until it is told to stop.
fn run<R>(relay: impl FnOnce() -> R + Send + 'static) -> io::Result<Relay>
where
    R: Future<Output = io::Result<()>>,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (stop, stopped) = oneshot::channel::<()>();
    thread::Builder::new().name("stage-relay".to_owned()).spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                outcome = relay() => {
                    if let Err(error) = outcome {
                        eprintln!("stage: a relay broke down: {error}");
                    }
                }
                _ = stopped => {}
            }
        });
    })?;
    Ok(Relay { _stop: stop })
}

/// Accepts for ever; each connection gets one on the far side.
async fn carry_all<A, B, C>(accept: impl AsyncFn() -> io::Result<A>, connect: impl Fn() -> C) -> io::Result<()>
where
    A: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    B: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    C: Future<Output = io::Result<B>> + Send + 'static,
{
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        // More than the limit wait in the listener's queue.
        let slot = Arc::clone(&slots).acquire_owned().await.map_err(io::Error::other)?;
        let mut near = match accept().await {
            Ok(near) => near,
            // Out of file descriptors, or the peer is gone already: neither lasts.
            Err(_) => {
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let far = connect();
        tokio::spawn(async move {
            // If nobody listens over there, or one side breaks off, both are closed; the two
            // ends see it as they would see it without a relay between them.
            if let Ok(mut far) = far.await {
                let _ = copy_bidirectional(&mut near, &mut far).await;
            }
            drop(slot);
        });
    }
}

fn without_delay(stream: TcpStream) -> TcpStream {
    // Only latency is at stake.
    let _ = stream.set_nodelay(true);
    stream
}

/// Connections carried at once by one relay.
const CONNECTIONS_MAX: usize = 4096;

/// Wait after a failed accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

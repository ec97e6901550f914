//! The accept loop: TLS, timeouts, a bound on connections, and an orderly end.
//!
//! Not `axum::serve`, which has none of these. Each request carries who is on the other end as extensions:
//! [`PeerAddress`], [`Scheme`], and [`PeerCertificate`] where TLS asked for one.

use crate::config::ListenConfig;
use axum::Router;
use axum::body::Body;
use hyper::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use rustix::net::sockopt;
use rustls::ServerConfig;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

/// Requests one HTTP/2 connection may have open at once.
const HTTP2_STREAMS_MAX: u32 = 128;

/// The largest head of a request, in bytes.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// What an HTTP/2 connection begins with; from the first other byte on it is HTTP/1.
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How long a connection may be silent before its peer is asked whether it is still there.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);

/// How often it is asked.
const KEEPALIVE_EVERY: Duration = Duration::from_secs(15);

/// How often it may fail to answer.
const KEEPALIVE_UNANSWERED_MAX: u32 = 4;

/// How long a peer may take nothing of what is sent to it, in milliseconds.
const UNREAD_MAX_MS: u32 = 120_000;

/// How long to wait when the system has no more sockets to give.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// The address a request came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerAddress(pub SocketAddr);

/// The client certificate, DER, that TLS has verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerCertificate(pub Vec<u8>);

/// `https` or `http`, by how the request came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scheme(pub &'static str);

/// Serves `router` on `listener` until `shutdown` comes; without TLS only where `tls` is `None`.
///
/// # Errors
/// Plain HTTP that was not asked for, or on an address that is not loopback.
pub async fn serve(
    listener: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    router: Router,
    config: &ListenConfig,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    if tls.is_none() {
        check_plain(listener.local_addr()?, config)?;
    }
    let door = Arc::new(Door {
        tls: tls.map(TlsAcceptor::from),
        router,
        http: http(config),
        handshake_timeout: config.handshake_timeout,
        header_timeout: config.header_timeout,
    });
    let connections = Arc::new(Semaphore::new(config.connections_max));
    let graceful = GracefulShutdown::new();
    tokio::pin!(shutdown);
    loop {
        // The permit comes first: whom we cannot hold, we do not accept.
        let accepted = async {
            let permit = Arc::clone(&connections).acquire_owned().await;
            (permit, listener.accept().await)
        };
        let (permit, accepted) = tokio::select! {
            both = accepted => both,
            () = &mut shutdown => break,
        };
        let Ok(permit) = permit else { break };
        match accepted {
            Ok((stream, peer)) => {
                tokio::spawn(connection(Arc::clone(&door), stream, peer, permit, graceful.watcher()));
            }
            Err(e) => {
                tracing::warn!(error = %e, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_AGAIN).await;
            }
        }
    }
    drop(listener);
    if tokio::time::timeout(config.shutdown_grace, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests did not end in time");
    }
    Ok(())
}

/// What every connection of one listener shares.
struct Door {
    tls: Option<TlsAcceptor>,
    router: Router,
    http: Builder<TokioExecutor>,
    handshake_timeout: Duration,
    header_timeout: Duration,
}

fn check_plain(address: SocketAddr, config: &ListenConfig) -> io::Result<()> {
    let why = if !config.plain_http {
        "plain HTTP was not asked for"
    } else if !address.ip().is_loopback() {
        "plain HTTP is served on loopback only: tokens would cross the network in the clear"
    } else {
        return Ok(());
    };
    Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{address}: {why}")))
}

fn http(config: &ListenConfig) -> Builder<TokioExecutor> {
    let mut http = Builder::new(TokioExecutor::new());
    http.http1().timer(TokioTimer::new()).header_read_timeout(config.header_timeout).max_buf_size(HEAD_BYTES_MAX);
    http.http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(HTTP2_STREAMS_MAX)
        .max_header_list_size(u32::try_from(HEAD_BYTES_MAX).unwrap_or(u32::MAX))
        .keep_alive_interval(config.header_timeout)
        .keep_alive_timeout(config.header_timeout);
    http
}

async fn connection(
    door: Arc<Door>,
    stream: TcpStream,
    peer: SocketAddr,
    permit: OwnedSemaphorePermit,
    watcher: Watcher,
) {
    // Small answers should leave at once; a socket that cannot do that still works.
    let _ = stream.set_nodelay(true);
    if let Err(e) = notice_silence(&stream) {
        tracing::warn!(%peer, error = %e, "a peer that vanishes will not be noticed");
    }
    let Some(acceptor) = &door.tls else {
        let origin = Origin { peer, scheme: Scheme("http"), certificate: None };
        return requests(&door, stream, permit, origin, watcher).await;
    };
    let tls = match tokio::time::timeout(door.handshake_timeout, acceptor.accept(stream)).await {
        Ok(Ok(tls)) => tls,
        Ok(Err(e)) => return tracing::debug!(%peer, error = %e, "a TLS handshake failed"),
        Err(_) => return tracing::debug!(%peer, "a TLS handshake took too long"),
    };
    let chain = tls.get_ref().1.peer_certificates();
    let certificate = chain.and_then(|chain| chain.first()).map(|first| PeerCertificate(first.to_vec()));
    let origin = Origin { peer, scheme: Scheme("https"), certificate };
    requests(&door, tls, permit, origin, watcher).await;
}

/// A peer that vanished, or that does not read, must not hold its connection for ever.
fn notice_silence(stream: &TcpStream) -> io::Result<()> {
    sockopt::set_tcp_keepidle(stream, KEEPALIVE_IDLE)?;
    sockopt::set_tcp_keepintvl(stream, KEEPALIVE_EVERY)?;
    sockopt::set_tcp_keepcnt(stream, KEEPALIVE_UNANSWERED_MAX)?;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_user_timeout(stream, UNREAD_MAX_MS)?;
    Ok(())
}

/// A connection that must say in time which version of HTTP it speaks: only then do HTTP's own time limits begin, that
/// of a request's head or those of the pings. It counts for as long as it is open, as a WebSocket too, when HTTP has long
/// let go of it.
struct Prompt<S> {
    stream: S,
    _permit: OwnedSemaphorePermit,
    /// How much of the preface was read, and until when it must be told; none once the version is known.
    unknown: Option<(usize, Pin<Box<Sleep>>)>,
}

impl<S> Prompt<S> {
    fn new(stream: S, permit: OwnedSemaphorePermit, within: Duration) -> Self {
        Self { stream, _permit: permit, unknown: Some((0, Box::pin(tokio::time::sleep(within)))) }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Prompt<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if let Some((_, deadline)) = &mut this.unknown
            && deadline.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(cx, buffer);
        if let Some((matched, _)) = &mut this.unknown {
            let new = buffer.filled().get(before..).unwrap_or_default();
            let expected = HTTP2_PREFACE.get(*matched..).unwrap_or_default();
            *matched += new.len();
            if new.len() >= expected.len() || !expected.starts_with(new) {
                this.unknown = None;
            }
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Prompt<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

/// Where the requests of a connection come from.
#[derive(Clone)]
struct Origin {
    peer: SocketAddr,
    scheme: Scheme,
    certificate: Option<PeerCertificate>,
}

async fn requests<S>(door: &Door, stream: S, permit: OwnedSemaphorePermit, origin: Origin, watcher: Watcher)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let peer = origin.peer;
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let (router, origin) = (door.router.clone(), origin.clone());
        async move {
            let mut request = request.map(Body::new);
            let extensions = request.extensions_mut();
            extensions.insert(PeerAddress(origin.peer));
            extensions.insert(origin.scheme);
            if let Some(certificate) = origin.certificate {
                extensions.insert(certificate);
            }
            Ok::<_, Infallible>(match router.oneshot(request).await {
                Ok(response) => response,
                Err(never) => match never {},
            })
        }
    });
    let stream = Prompt::new(stream, permit, door.header_timeout);
    let connection = door.http.serve_connection_with_upgrades(TokioIo::new(stream), service);
    if let Err(e) = watcher.watch(connection).await {
        tracing::debug!(%peer, error = %e, "a connection ended with an error");
    }
}

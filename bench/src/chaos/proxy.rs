//! A TCP proxy between agents and server, in a process of its own in the hub, that does to connections what bad networks
//! do: it holds one direction back or both, delays, passes an end on in one direction only, and drops everything at once.
//!
//! Whose connection it is, is told by the address it comes from. What is held back is not lost: TCP never loses from the
//! middle. It comes late, or the connection dies.

use anyhow::{Context as _, ensure};
use clap::Args;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::sync::watch;

/// How much is carried at once, in bytes.
const PIECE_BYTES: usize = 16 * 1024;

/// How long the proxy may take to stand, and to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Pause between two looks whether it stands.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Carries agents' connections to the server, badly when told to.
#[derive(Args, Debug)]
#[command(hide = true)]
pub(crate) struct Proxy {
    /// Where agents come to.
    #[arg(long)]
    listen: SocketAddr,
    /// Where the server listens.
    #[arg(long)]
    to: SocketAddr,
    /// The socket on which it is told what to do.
    #[arg(long)]
    control: PathBuf,
}

/// How one direction is carried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Way {
    /// As it comes.
    #[default]
    Open,
    /// Not at all, for now.
    Held,
    /// Each piece so much later, in milliseconds.
    Late(u64),
}

/// How a machine's connections are carried, those that stand and those to come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Line {
    /// From the agent to the server.
    pub(super) up: Way,
    /// From the server to the agent.
    pub(super) down: Way,
    /// Changed to have the connections that stand dropped.
    pub(super) dropped: u64,
    /// Changed to have an end passed on, on the connections that stand: from the agent to the server.
    pub(super) ended_up: u64,
    /// The same from the server to the agent.
    pub(super) ended_down: u64,
}

/// What the proxy is told: this machine's line is like this now.
#[derive(Debug, Serialize, Deserialize)]
struct Told {
    machine: Ipv4Addr,
    line: Line,
}

type Lines = Arc<Mutex<HashMap<IpAddr, watch::Sender<Line>>>>;

impl Proxy {
    /// Carries until the process is ended.
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(self.serve())
    }

    async fn serve(&self) -> anyhow::Result<()> {
        let lines = Lines::default();
        let listener = TcpListener::bind(self.listen).await?;
        let control = UnixListener::bind(&self.control)?;
        tokio::spawn(listen_to_orders(control, Arc::clone(&lines)));
        loop {
            let Ok((near, peer)) = listener.accept().await else {
                tokio::time::sleep(LOOK_EVERY).await;
                continue;
            };
            let line = line_of(&lines, peer.ip());
            tokio::spawn(carry(near, self.to, line));
        }
    }
}

async fn listen_to_orders(control: UnixListener, lines: Lines) {
    while let Ok((stream, _)) = control.accept().await {
        let (reading, mut writing) = stream.into_split();
        let mut orders = tokio::io::BufReader::new(reading).lines();
        while let Ok(Some(order)) = orders.next_line().await {
            let answer = match serde_json::from_str::<Told>(&order) {
                Ok(told) => {
                    // Also remembered if nobody is connected.
                    lock(&lines).entry(told.machine.into()).or_default().send_replace(told.line);
                    "done\n".to_string()
                }
                Err(error) => format!("not understood: {error}\n"),
            };
            if writing.write_all(answer.as_bytes()).await.is_err() {
                break;
            }
        }
    }
}

fn line_of(lines: &Lines, machine: IpAddr) -> watch::Receiver<Line> {
    lock(lines).entry(machine).or_default().subscribe()
}

/// Carries one connection until an end, an error, or a drop.
async fn carry(near: TcpStream, to: SocketAddr, line: watch::Receiver<Line>) {
    let at_first = *line.borrow();
    let Ok(far) = TcpStream::connect(to).await else {
        let _ = near.set_zero_linger();
        return;
    };
    for stream in [&near, &far] {
        let _ = stream.set_nodelay(true);
        // A dropped connection ends like a broken one, not like one that was closed.
        let _ = stream.set_zero_linger();
    }
    let dropped = until(line.clone(), move |now| now.dropped != at_first.dropped);
    let (near_reads, near_writes) = near.into_split();
    let (far_reads, far_writes) = far.into_split();
    let up = Pump { from: near_reads, to: far_writes, line: line.clone(), way: |line| line.up };
    let down = Pump { from: far_reads, to: near_writes, line: line.clone(), way: |line| line.down };
    let both = async {
        tokio::join!(
            up.run(until(line.clone(), move |now| now.ended_up != at_first.ended_up)),
            down.run(until(line.clone(), move |now| now.ended_down != at_first.ended_down)),
        )
    };
    tokio::select! {
        _ = both => {}
        () = dropped => {}
    }
}

/// Waits until the line is so; for ever if the proxy ends.
async fn until(mut line: watch::Receiver<Line>, is_so: impl Fn(&Line) -> bool) {
    if line.wait_for(|now| is_so(now)).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// One direction of a connection.
struct Pump {
    from: OwnedReadHalf,
    to: OwnedWriteHalf,
    line: watch::Receiver<Line>,
    way: fn(&Line) -> Way,
}

impl Pump {
    async fn run(mut self, ended: impl Future<Output = ()>) {
        tokio::pin!(ended);
        tokio::select! {
            () = self.carry() => {}
            () = &mut ended => {}
        }
        // The end is passed on like anything else; the other direction goes on by itself.
        let _ = self.to.shutdown().await;
    }

    async fn carry(&mut self) {
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            self.wait_open().await;
            let length = match self.from.read(&mut piece).await {
                Ok(0) | Err(_) => break,
                Ok(length) => length,
            };
            self.wait_open().await;
            if self.to.write_all(&piece[..length]).await.is_err() {
                return;
            }
        }
        self.wait_open().await;
    }

    async fn wait_open(&mut self) {
        let way = self.way;
        let now = match self.line.wait_for(|line| way(line) != Way::Held).await {
            Ok(line) => way(&line),
            Err(_) => return,
        };
        if let Way::Late(ms) = now {
            tokio::time::sleep(Duration::from_millis(ms)).await;
        }
    }
}

/// The director's side.
pub(super) struct Control {
    stream: Mutex<BufReader<UnixStream>>,
}

impl Control {
    /// Connects to a proxy that was just started.
    ///
    /// # Errors
    /// It does not stand within [`ANSWER_WITHIN`].
    pub(super) fn connect(socket: &Path) -> anyhow::Result<Self> {
        let deadline = Instant::now() + ANSWER_WITHIN;
        let stream = loop {
            match UnixStream::connect(socket) {
                Ok(stream) => break stream,
                Err(error) if Instant::now() > deadline => return Err(error).context("the proxy does not stand"),
                Err(_) => std::thread::sleep(LOOK_EVERY),
            }
        };
        stream.set_read_timeout(Some(ANSWER_WITHIN))?;
        Ok(Self { stream: Mutex::new(BufReader::new(stream)) })
    }

    /// Sets a machine's line.
    ///
    /// # Errors
    /// The proxy does not answer.
    pub(super) fn set(&self, machine: Ipv4Addr, line: Line) -> anyhow::Result<()> {
        let mut stream = lock(&self.stream);
        let order = serde_json::to_string(&Told { machine, line })?;
        stream.get_mut().write_all(format!("{order}\n").as_bytes()).context("telling the proxy")?;
        let mut answer = String::new();
        stream.read_line(&mut answer).context("the proxy's answer")?;
        ensure!(answer == "done\n", "the proxy says {answer:?}");
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A connection through a proxy, both ends of it, and the line it is carried on.
    async fn connected() -> (TcpStream, TcpStream, watch::Sender<Line>) {
        let any = (Ipv4Addr::LOCALHOST, 0);
        let (server, middle) = (TcpListener::bind(any).await.unwrap(), TcpListener::bind(any).await.unwrap());
        let (told, line) = watch::channel(Line::default());
        let agent = TcpStream::connect(middle.local_addr().unwrap()).await.unwrap();
        let (near, _) = middle.accept().await.unwrap();
        tokio::spawn(carry(near, server.local_addr().unwrap(), line));
        let (served, _) = server.accept().await.unwrap();
        (agent, served, told)
    }

    async fn heard(stream: &mut TcpStream) -> Option<u8> {
        let mut byte = [0];
        let read = tokio::time::timeout(Duration::from_millis(200), stream.read(&mut byte)).await.ok()?;
        (read.ok()? == 1).then_some(byte[0])
    }

    #[tokio::test]
    async fn one_direction_is_held_back_and_comes_late() {
        let (mut agent, mut served, told) = connected().await;
        told.send_replace(Line { up: Way::Held, ..Line::default() });
        agent.write_all(b"a").await.unwrap();
        served.write_all(b"b").await.unwrap();
        assert_eq!(heard(&mut agent).await, Some(b'b'));
        assert_eq!(heard(&mut served).await, None);
        told.send_replace(Line::default());
        assert_eq!(heard(&mut served).await, Some(b'a'));
    }

    #[tokio::test]
    async fn an_end_is_passed_on_in_one_direction_only() {
        let (mut agent, mut served, told) = connected().await;
        told.send_replace(Line { ended_up: 1, ..Line::default() });
        let mut byte = [0];
        assert_eq!(served.read(&mut byte).await.unwrap(), 0);
        served.write_all(b"b").await.unwrap();
        assert_eq!(heard(&mut agent).await, Some(b'b'));
    }

    #[tokio::test]
    async fn a_dropped_connection_breaks_at_both_ends() {
        let (mut agent, mut served, told) = connected().await;
        told.send_replace(Line { dropped: 1, ..Line::default() });
        let mut byte = [0];
        assert!(!matches!(agent.read(&mut byte).await, Ok(1)));
        assert!(!matches!(served.read(&mut byte).await, Ok(1)));
    }
}

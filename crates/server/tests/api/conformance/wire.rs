//! HTTP/1.1 as it is written: no library between the file and the server that would tidy up a target or a header.

use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// How long an answer may take; a cancel waits for a machine, on purpose.
const ANSWERED_WITHIN: Duration = Duration::from_secs(60);

/// An answer.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(given, _)| given.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Sends a request whose head is already written, without the lines that this adds, and reads to the end.
pub(crate) async fn send(server: SocketAddr, request: &str, headers: &[(String, String)], body: &[u8]) -> Reply {
    let mut head = format!("{request} HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() || request.starts_with("POST ") {
        head.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    head.push_str("\r\n");
    let mut stream = TcpStream::connect(server).await.unwrap();
    stream.write_all(&[head.as_bytes(), body].concat()).await.unwrap();
    let mut read = Vec::new();
    tokio::time::timeout(ANSWERED_WITHIN, stream.read_to_end(&mut read)).await.expect("an answer in time").unwrap();
    parsed(&read)
}

fn parsed(read: &[u8]) -> Reply {
    let end = read.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
    let head = String::from_utf8_lossy(&read[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).expect("a status");
    let header = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_string(), value.to_string()));
    let reply = Reply { status, headers: lines.filter_map(header).collect(), body: read[end + 4..].to_vec() };
    assert!(reply.header("transfer-encoding").is_none(), "every answer has a length: {head}");
    reply
}

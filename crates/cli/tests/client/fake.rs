//! A server that says what it was told to say, and remembers what it was asked.

use serde_json::{Value, json};
use std::collections::{HashMap, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// An action's id.
pub(crate) const ID: &str = "7b0f0c52-2c0e-4a53-9d0e-5f4f8f1b6a10";
/// A machine's id.
pub(crate) const MACHINE: &str = "0123456789abcdef0123456789abcdef01234567";

/// What was asked.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// `METHOD /path`, without the query.
    pub(crate) route: String,
    /// The query as it came.
    pub(crate) query: String,
    /// The `Authorization` header; empty if there was none.
    pub(crate) authorization: String,
    /// The body as text.
    pub(crate) body: String,
    /// When.
    pub(crate) at: Instant,
}

/// What is answered.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl Said {
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self { status, headers: vec![("Content-Type", "application/json".into())], body: body.to_string().into() }
    }

    pub(crate) fn error(status: u16, code: &str, message: &str) -> Self {
        Self::json(status, &json!({ "error": { "code": code, "message": message, "target": "t-1" } }))
    }

    pub(crate) fn bytes(body: &[u8]) -> Self {
        Self { status: 200, headers: vec![], body: body.into() }
    }

    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

type Script = Arc<Mutex<HashMap<String, VecDeque<Said>>>>;

/// The server. Each route says its answers in turn, the last one for ever.
pub(crate) struct Fake {
    pub(crate) url: String,
    script: Script,
    asked: Arc<Mutex<Vec<Asked>>>,
    news: Receiver<String>,
}

impl Fake {
    /// A server that gives tokens `token-1`, `token-2`, `token-3`, and is not told anything else yet.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (script, asked) = (Script::default(), Arc::new(Mutex::new(Vec::new())));
        let (tell, news) = channel();
        let (for_script, for_asked) = (script.clone(), asked.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (script, asked, tell) = (for_script.clone(), for_asked.clone(), tell.clone());
                std::thread::spawn(move || answer(&stream, &script, &asked, &tell));
            }
        });
        let fake = Self { url, script, asked, news };
        for number in 1..=3 {
            let token =
                json!({ "token_type": "Bearer", "expires_in": 3599, "access_token": format!("token-{number}") });
            fake.on("POST /tenant/oauth2/v2.0/token", Said::json(200, &token));
        }
        fake
    }

    /// What a route says next.
    pub(crate) fn on(&self, route: &str, said: Said) -> &Self {
        self.script.lock().unwrap().entry(route.into()).or_default().push_back(said);
        self
    }

    /// What a route was asked, in order.
    pub(crate) fn asked(&self, route: &str) -> Vec<Asked> {
        self.asked.lock().unwrap().iter().filter(|asked| asked.route == route).cloned().collect()
    }

    /// Waits until a route has been asked once more.
    pub(crate) fn wait_for(&self, route: &str) {
        while self.news.recv_timeout(std::time::Duration::from_secs(60)).unwrap() != route {}
    }

    /// The binary with these arguments, set up for this server.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_countermand"));
        command
            .args(arguments)
            .env_clear()
            .env("COUNTERMAND_URL", &self.url)
            .env("COUNTERMAND_TENANT", "tenant")
            .env("COUNTERMAND_CLIENT_ID", "app")
            .env("COUNTERMAND_CLIENT_SECRET", "s&cret+")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs the binary to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.command(arguments).output().unwrap())
    }
}

/// How the binary ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    pub(crate) fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

fn answer(
    stream: &TcpStream,
    script: &Mutex<HashMap<String, VecDeque<Said>>>,
    all: &Mutex<Vec<Asked>>,
    tell: &Sender<String>,
) {
    let Some(asked) = read(stream) else { return };
    let said = {
        let mut script = script.lock().unwrap();
        match script.get_mut(&asked.route) {
            Some(said) if said.len() > 1 => said.pop_front().unwrap(),
            Some(said) => said[0].clone(),
            None => Said::error(404, "ResourceNotFound", &format!("nothing is at {}", asked.route)),
        }
    };
    let route = asked.route.clone();
    all.lock().unwrap().push(asked);
    let mut head =
        format!("HTTP/1.1 {} x\r\nConnection: close\r\nContent-Length: {}\r\n", said.status, said.body.len());
    said.headers.iter().for_each(|(name, value)| head += &format!("{name}: {value}\r\n"));
    let mut stream = stream;
    // A client that has gone away is what some tests are about.
    let _ = stream.write_all(format!("{head}\r\n").as_bytes()).and_then(|()| stream.write_all(&said.body));
    let _ = tell.send(route);
}

fn read(stream: &TcpStream) -> Option<Asked> {
    let at = Instant::now();
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    reader.read_line(&mut first).ok()?;
    let mut words = first.split_whitespace();
    let (method, target) = (words.next()?, words.next()?);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let (mut length, mut chunked, mut authorization) = (0, false, String::new());
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().ok()?,
            "transfer-encoding" => chunked = true,
            "authorization" => authorization = value.trim().into(),
            _ => {}
        }
    }
    let body = if chunked { read_chunks(&mut reader)? } else { read_exactly(&mut reader, length)? };
    let body = String::from_utf8_lossy(&body).into_owned();
    Some(Asked { route: format!("{method} {path}"), query: query.into(), authorization, body, at })
}

fn read_exactly(reader: &mut impl Read, length: usize) -> Option<Vec<u8>> {
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(body)
}

fn read_chunks(reader: &mut impl BufRead) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut size = String::new();
        reader.read_line(&mut size).ok()?;
        let size = usize::from_str_radix(size.trim(), 16).ok()?;
        let chunk = read_exactly(reader, size + 2)?;
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(&chunk[..size]);
    }
}

/// An action of a type, with a status.
pub(crate) fn action(kind: &str, status: &str) -> Value {
    json!({
        "@odata.context": "http://x/api/$metadata#MachineActions/$entity",
        "id": ID, "type": kind, "title": null, "requestor": "app", "requestorComment": "case 812", "status": status,
        "machineId": MACHINE, "computerDnsName": "web-03",
        "creationDateTimeUtc": "2026-01-07T08:00:00.1234567Z", "lastUpdateDateTimeUtc": "2026-01-07T08:05:10.7654321Z",
        "cancellationRequestor": null, "cancellationComment": null, "cancellationDateTimeUtc": null,
        "errorHResult": 0, "scope": null, "externalId": null, "requestSource": "PublicApi", "relatedFileInfo": null,
        "commands": [], "troubleshootInfo": null
    })
}

/// The same, with a cancel accepted.
pub(crate) fn cancelled(status: &str) -> Value {
    changed(
        action("LiveResponse", status),
        &json!({
            "cancellationRequestor": "app", "cancellationComment": "oops",
            "cancellationDateTimeUtc": "2026-01-07T08:05:00Z"
        }),
    )
}

/// An object with some keys changed.
pub(crate) fn changed(mut object: Value, changes: &Value) -> Value {
    for (key, value) in changes.as_object().unwrap() {
        object[key] = value.clone();
    }
    object
}

/// A machine of this name.
pub(crate) fn machine(id: &str, name: &str) -> Value {
    json!({
        "id": id, "computerDnsName": name, "firstSeen": "2026-01-01T00:00:00Z", "lastSeen": "2026-01-07T08:00:00Z",
        "osPlatform": "Linux", "osVersion": null, "version": "Debian 12", "lastIpAddress": "192.0.2.7",
        "lastExternalIpAddress": null, "agentVersion": "0.1.0", "healthStatus": "Active",
        "onboardingStatus": "Onboarded", "rbacGroupId": 0, "rbacGroupName": null, "riskScore": "None",
        "exposureLevel": "None", "deviceValue": "Normal", "aadDeviceId": null, "isAadJoined": false, "machineTags": [],
        "osProcessor": null, "osBuild": null, "defenderAvStatus": "Unknown", "osArchitecture": null,
        "managedBy": "Unknown", "ipAddresses": [], "vmMetadata": null
    })
}

/// A list of these.
pub(crate) fn list(items: &[Value]) -> Value {
    json!({ "@odata.context": "http://x/api/$metadata#Things", "value": items })
}

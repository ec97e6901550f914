//! Puts the agent together: identity, machine, journal, worker, link.

use crate::boot::{self, Leftovers};
use crate::crew::{Threads, Tools};
use crate::executors::{self, ServerProof, StopSignal};
use crate::host::{Host, LinuxConfig, LinuxHost};
use crate::identity::{Enrolled, Enrolment};
use crate::journal::Journal;
use crate::link::{self, Dialer, FromLink, Greeting};
use crate::worker::{Event, Outgoing, Worker, WorkerError};
use anyhow::{Context as _, bail};
use domain::ids::{JournalId, Nonce};
use domain::machine::Told;
use domain::time::Timestamp;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;
use tokio::sync::mpsc::UnboundedSender;

/// How often what failed is tried again.
const RETRY_EVERY: Duration = Duration::from_secs(2);

/// How often a proof looks whether it is still wanted.
const STOP_LOOK_EVERY: Duration = Duration::from_millis(10);

/// The exit code when the journal cannot be written or understood: nothing may go on without it.
const EXIT_JOURNAL: i32 = 74;

/// How an agent is run.
#[derive(Clone, Debug)]
pub struct AgentConfig {
    /// Its own folder.
    pub state_dir: PathBuf,
    /// How to become known, for a machine that is not yet.
    pub enrolment: Option<Enrolment>,
    /// Its folder in the cgroup tree; default: the machine's id.
    pub slice: Option<String>,
}

/// Logs to standard error, at the level that `RUST_LOG` asks for, otherwise from `info` on.
pub fn log_to_stderr() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env();
    let filter = filter.unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false).init();
}

/// Runs the agent until the process is ended.
///
/// # Errors
/// It is not enrolled and cannot be, or its state cannot be used.
pub fn run(config: AgentConfig) -> anyhow::Result<()> {
    let staging = config.state_dir.join("staging");
    for folder in [&config.state_dir, &staging] {
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let enrolled = match (Enrolled::load(&config.state_dir)?, &config.enrolment) {
        (Some(enrolled), _) => enrolled,
        (None, Some(enrolment)) => runtime.block_on(Enrolled::enrol(&config.state_dir, enrolment))?,
        (None, None) => bail!("this machine is not enrolled: give --server, --server-ca and an enrolment token"),
    };
    let identity = enrolled.identity()?;
    let machine = identity.machine;
    tracing::info!(%machine, version = env!("CARGO_PKG_VERSION"), "agent starts");
    let slice = config.slice.clone().unwrap_or_else(|| machine.to_string());
    let host: Arc<dyn Host> = Arc::new(LinuxHost::new(LinuxConfig::new(config.state_dir.clone(), slice))?);
    let (journal, entries) = Journal::open(&config.state_dir.join("journal"), JournalId(random_uuid()))?;
    let dialer = Arc::new(Dialer::new(&enrolled, &config.state_dir)?);
    let (events, inbox) = channel();
    let tools = tools(&runtime, &host, &dialer, &staging, events.clone());
    let greeting = Greeting {
        incarnation: identity.incarnation,
        told: told(&*host)?,
        staging: staging.clone(),
        random: || u64::from_le_bytes(random()),
    };
    let (worker, leftovers) = boot::take_up(journal, &entries, Threads::new(tools), identity, &*host, &staging, now())?;
    let from_link = forward(events.clone());
    std::thread::Builder::new().name("retry".into()).spawn(move || {
        while events.send(Message::Event(Event::Retry)).is_ok() {
            std::thread::sleep(RETRY_EVERY);
        }
    })?;
    std::thread::Builder::new().name("worker".into()).spawn(move || {
        if let Err(e) = work(worker, leftovers, &*host, &inbox) {
            // After a failed write nobody knows what is on disk: the next start reads what truly is.
            tracing::error!(error = %e, "the agent ends");
            std::process::exit(EXIT_JOURNAL);
        }
    })?;
    runtime.block_on(link::run(dialer, greeting, from_link));
    Ok(())
}

enum Message {
    Link(FromLink),
    Event(Event),
}

fn tools(
    runtime: &tokio::runtime::Runtime,
    host: &Arc<dyn Host>,
    dialer: &Arc<Dialer>,
    staging: &Path,
    events: Sender<Message>,
) -> Tools {
    let library = link::content::Library { dialer: Arc::clone(dialer), runtime: runtime.handle().clone() };
    let proof = Proof { dialer: Arc::clone(dialer), runtime: runtime.handle().clone() };
    let addresses = Arc::clone(dialer);
    Tools {
        host: Arc::clone(host),
        staging: staging.to_path_buf(),
        content: Arc::new(library),
        proof: Arc::new(proof),
        server: Arc::new(move || addresses.addresses()),
        now: Arc::new(now),
        // Sent in vain only when the worker has ended, and the process with it.
        ended: Arc::new(move |event| drop(events.send(Message::Event(event)))),
    }
}

/// One thread, one input at a time.
fn work(
    mut worker: Worker<Threads>,
    mut leftovers: Leftovers,
    host: &dyn Host,
    inbox: &Receiver<Message>,
) -> Result<(), WorkerError> {
    let mut say: Option<UnboundedSender<Outgoing>> = None;
    loop {
        let event = match inbox.recv() {
            Ok(Message::Link(FromLink::Standing(ask))) => {
                // The link that asked may have given up meanwhile.
                let _ = ask.send(worker.standing());
                continue;
            }
            Ok(Message::Link(FromLink::Opened(to))) => {
                say = Some(to);
                continue;
            }
            Ok(Message::Link(FromLink::Lost)) => {
                say = None;
                Event::Lost
            }
            Ok(Message::Link(FromLink::Heard(message))) => Event::Heard(message),
            Ok(Message::Event(event)) => event,
            Err(_) => return Ok(()),
        };
        if matches!(event, Event::Retry) {
            leftovers.sweep_again(host, worker.grantee());
        }
        for outgoing in worker.handle(event, Nonce(random()), now())? {
            if let Some(say) = &say {
                // A session that is gone takes no more words; the next one says again what matters.
                let _ = say.send(outgoing);
            }
        }
    }
}

/// Carries the link's words into the worker's one inbox.
fn forward(events: Sender<Message>) -> Sender<FromLink> {
    let (from_link, words) = channel();
    std::thread::spawn(move || {
        for word in words {
            if events.send(Message::Link(word)).is_err() {
                return;
            }
        }
    });
    from_link
}

struct Proof {
    dialer: Arc<Dialer>,
    runtime: tokio::runtime::Handle,
}

impl ServerProof for Proof {
    fn prove(&self, limit: Duration, stop: &StopSignal) -> Result<(), String> {
        let stopped = async {
            while !stop.is_stopped() {
                tokio::time::sleep(STOP_LOOK_EVERY).await;
            }
        };
        self.runtime.block_on(async {
            tokio::select! {
                proved = self.dialer.prove(limit) => proved.map_err(|e| format!("{e:#}")),
                () = stopped => Err("stopped".into()),
            }
        })
    }
}

fn told(host: &dyn Host) -> anyhow::Result<Told> {
    Ok(Told {
        os_platform: "Linux".into(),
        os_version: os_version(),
        agent_version: env!("CARGO_PKG_VERSION").into(),
        last_address: None,
        boot_id: host.boot_id()?,
        kinds: executors::offered(host),
        journal: None,
    })
}

fn os_version() -> String {
    let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let name = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    name.map_or_else(|| "Linux".to_string(), |name| name.trim_matches('"').to_string())
}

/// The agent's one look at the wall clock: times are for display.
fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_nanos() / 100).unwrap_or(i64::MAX))
}

/// The agent's one source of randomness. Without it no claim can be told from another: there is nothing to go on with.
fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).unwrap_or_else(|e| panic!("the kernel gives no random bytes: {e}"));
    bytes
}

fn random_uuid() -> uuid::Uuid {
    uuid::Builder::from_random_bytes(random()).into_uuid()
}

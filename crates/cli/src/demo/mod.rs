//! The demo: the promise, shown with real effects. Server and agents run as processes of their own on a stage, so
//! nothing touches the network of this machine, and nothing is left behind.

mod scenes;
mod show;
mod tools;

use crate::client::Client;
use crate::fleet::{Fleet, FleetConfig};
use crate::stage::Rights;
use anyhow::{Context as _, bail, ensure};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};

/// The machines of the demo, a scene each.
pub const MACHINES: [&str; 4] = ["web-01", "build-02", "db-03", "mail-04"];

/// How to play.
#[derive(Clone, Debug)]
pub struct DemoConfig {
    /// Where everything is kept; default: a temporary folder, removed at the end.
    pub data_dir: Option<PathBuf>,
    /// Leave server and agents running until Ctrl-C.
    pub keep: bool,
    /// Do not install missing system packages.
    pub no_install: bool,
}

/// What the scenes work with.
pub struct Play {
    /// The processes.
    pub fleet: Fleet,
    /// The API, as any client sees it.
    pub client: Client,
    /// Where scripts leave their marks.
    pub marks: PathBuf,
}

/// Plays all scenes.
///
/// # Errors
/// A scene did not end as told, or could not be played at all.
pub async fn run(config: DemoConfig) -> anyhow::Result<()> {
    let began = Instant::now();
    let found = tools::find(config.no_install)?;
    let temporary = match &config.data_dir {
        None => Some(tempfile::Builder::new().prefix("countermand-demo-").tempdir()?),
        Some(dir) => {
            std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
            None
        }
    };
    let dir = temporary.as_ref().map_or_else(|| config.data_dir.clone().unwrap_or_default(), |dir| dir.path().into());
    let dir = dir.canonicalize()?;
    show::opening(&found);
    let mut play = open(&dir, found.rights)?;
    // However it ends, what was made is taken away again below.
    let played = tokio::select! {
        played = play_all(&mut play, &found) => played,
        interrupted = interrupted() => interrupted.and_then(|()| bail!("interrupted")),
    };
    let took = began.elapsed();
    if let Err(e) = &played {
        show::failed(e, &play.fleet);
    }
    if config.keep && played.is_ok() {
        show::kept(&play.fleet);
        interrupted().await?;
    }
    let Play { fleet, .. } = play;
    let leftovers = fleet.close()?;
    drop(temporary);
    played?;
    ensure!(leftovers.is_empty(), "the demo left something behind: {leftovers}");
    show::closing(took, &found, config.data_dir.as_deref());
    Ok(())
}

/// Ready when a person or a system wants the demo to end.
async fn interrupted() -> anyhow::Result<()> {
    let (mut int, mut term) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::select! {
        _ = int.recv() => {}
        _ = term.recv() => {}
    }
    Ok(())
}

fn open(dir: &Path, rights: Rights) -> anyhow::Result<Play> {
    let marks = dir.join("marks");
    std::fs::create_dir_all(&marks)?;
    let fleet = Fleet::open(FleetConfig {
        program: std::env::current_exe()?,
        dir: dir.to_path_buf(),
        rights,
        machines: MACHINES.map(str::to_string).to_vec(),
        // Answered at once, so that the state between request and proof can be seen.
        server_args: ["--cancel-wait-ms", "0", "--no-limits"].map(str::to_string).to_vec(),
        enrol_uses: 1,
        relayed: false,
    })?;
    let client = fleet.client()?;
    Ok(Play { fleet, client, marks })
}

async fn play_all(play: &mut Play, found: &tools::Found) -> anyhow::Result<()> {
    for machine in MACHINES {
        play.fleet.add_machine(machine)?;
        play.fleet.start_agent(machine, &[])?;
    }
    for machine in MACHINES {
        scenes::known(&play.client, machine).await?;
    }
    show::enrolled();
    scenes::a::cancel_for_a_machine_that_is_off(play).await.context("scene a")?;
    scenes::b::cancel_a_running_script(play).await.context("scene b")?;
    if found.packet_filter {
        scenes::c::cancel_an_isolation(play).await.context("scene c")?;
    } else {
        show::left_out("c", "an isolation that is cancelled: this machine has no nft (package nftables)");
    }
    scenes::d::cancel_too_late(play).await.context("scene d")
}

/// Looks until `what` is there, at most for `limit`.
pub(crate) async fn until<T, F>(what: &str, limit: Duration, mut look: F) -> anyhow::Result<T>
where
    F: AsyncFnMut() -> anyhow::Result<Option<T>>,
{
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = look().await? {
            return Ok(found);
        }
        ensure!(Instant::now() < deadline, "{what}: not within {} s", limit.as_secs());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

//! `bench race`: scripts are cancelled at random moments of their lives, and no process of one may do anything after
//! anybody was shown Cancelled.
//!
//! Every script leaves marks in a witness file of its own; the clock of the marks is the clock of whoever is shown.

mod life;
mod verdict;

use crate::dice;
use crate::playground::{self, Wanted};
use crate::summary::Summary;
use anyhow::{Context as _, bail, ensure};
use clap::Args;
use cli::client::{Client, LibraryUpload};
use cli::fleet::Fleet;
use life::{Life, Moment, Track};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use verdict::Verdict;

/// The script's name in the library.
const SCRIPT_NAME: &str = "race.sh";

/// The most agents at once.
const AGENTS_MAX: usize = 64;

/// How long an agent may take to be known.
const KNOWN_WITHIN: Duration = Duration::from_secs(60);

/// After the last action, late marks have this long to show themselves.
const SETTLE: Duration = Duration::from_millis(500);

/// How many violations are told in full.
const STORIES_MAX: usize = 10;

/// Cancels scripts at random moments of their lives, and looks for anything that happened after Cancelled was shown.
#[derive(Args, Debug)]
pub(crate) struct Race {
    /// How many actions.
    #[arg(long, default_value_t = 2000)]
    actions: usize,
    /// How many agents, each with one action at a time.
    #[arg(long, default_value_t = 8)]
    agents: usize,
    /// What all random choices follow from.
    #[arg(long)]
    seed: Option<u64>,
    /// Cancel at this moment of every life, to look closer at it.
    #[arg(long)]
    moment: Option<Moment>,
    /// Try a server that lies in this way: the race must catch it, and fails if it does not.
    #[arg(long, value_name = "NAME")]
    mutant: Option<String>,
    /// Write how long cancels took there too, as JSON.
    #[arg(long, value_name = "FILE")]
    histogram: Option<PathBuf>,
}

impl Race {
    /// Does it.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        playground::check_mutant(self.mutant.as_deref(), "race")?;
        let seed = dice::seed_or_new(self.seed);
        println!("race: {} actions, {} agents, seed {seed}", self.actions, self.agents);
        let began = Instant::now();
        let names: Vec<String> =
            (0..self.agents.clamp(1, AGENTS_MAX)).map(|number| format!("runner{number}")).collect();
        let server_args = vec!["--no-limits"];
        let (fleet, folder) = playground::open(Wanted { machines: names.clone(), server_args, enrol_uses: 1 })?;
        let fleet = Arc::new(Mutex::new(fleet));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let raced = self.race(&fleet, &runtime, folder.path(), &names, seed);
        // What ran on the runtime holds nothing of the fleet any more.
        drop(runtime);
        let fleet = Arc::into_inner(fleet).context("somebody still plays")?.into_inner();
        let closed = playground::close(fleet.unwrap_or_else(std::sync::PoisonError::into_inner), folder);
        let verdict = raced?;
        closed?;
        verdict.print(began.elapsed(), STORIES_MAX);
        if let Some(path) = &self.histogram {
            let text = serde_json::to_string_pretty(&verdict.latencies())? + "\n";
            std::fs::write(path, text).with_context(|| path.display().to_string())?;
        }
        self.summary(seed, &verdict, began.elapsed()).hand_over()?;
        self.conclude(&verdict)
    }

    fn race(
        &self,
        fleet: &Arc<Mutex<Fleet>>,
        runtime: &tokio::runtime::Runtime,
        folder: &std::path::Path,
        names: &[String],
        seed: u64,
    ) -> anyhow::Result<Verdict> {
        let client = life::lock(fleet).client()?;
        runtime.block_on(provide(&client))?;
        let mut tracks = Vec::new();
        for name in names {
            {
                let mut fleet = life::lock(fleet);
                fleet.add_machine(name)?;
                fleet.start_agent(name, &[])?;
            }
            let machine = runtime.block_on(known(&client, name))?;
            let (fleet, program, folder) = (Arc::clone(fleet), playground::own_program()?, folder.to_path_buf());
            let (client, name, only) = (client.clone(), name.clone(), self.moment);
            tracks.push(Track { fleet, client, name, machine, only, folder, program });
        }
        let next = Arc::new(AtomicUsize::new(0));
        let running: Vec<_> = (0..)
            .zip(tracks)
            .map(|(number, track)| {
                let (next, actions) = (Arc::clone(&next), self.actions);
                let dice = dice::Dice::part(seed, number);
                runtime.spawn(async move { run_track(track, dice, &next, actions).await })
            })
            .collect();
        let mut lives = Vec::new();
        for track in running {
            lives.extend(runtime.block_on(track).context("a track panicked")??);
        }
        std::thread::sleep(SETTLE);
        let verdict = verdict::judge(&lives)?;
        runtime.block_on(verdict.with_histories(&client, &lives))
    }

    fn summary(&self, seed: u64, verdict: &Verdict, took: Duration) -> Summary {
        let moment = self.moment.map(|moment| format!(", {moment:?} only")).unwrap_or_default();
        Summary {
            what: "race",
            how_much: format!("{} actions{moment}", verdict.actions()),
            seeds: seed.to_string(),
            failures: verdict.violations.len(),
            remark: format!("{}; {:.0} s", verdict.latencies(), took.as_secs_f64()),
        }
    }

    fn conclude(&self, verdict: &Verdict) -> anyhow::Result<()> {
        let caught = verdict.violations.len();
        match &self.mutant {
            Some(mutant) if caught > 0 => {
                println!("race: the mutant {mutant} was caught, by {caught} violations");
                Ok(())
            }
            Some(mutant) => bail!("the mutant {mutant} was not caught: this race shows nothing"),
            None => {
                ensure!(caught == 0, "{caught} violations");
                Ok(())
            }
        }
    }
}

/// One agent's actions, one after another.
async fn run_track(
    mut track: Track,
    mut dice: dice::Dice,
    next: &AtomicUsize,
    actions: usize,
) -> anyhow::Result<Vec<Life>> {
    let mut lives = Vec::new();
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= actions {
            return Ok(lives);
        }
        let life = track.live(number, &mut dice).await;
        lives.push(life.with_context(|| format!("action {number} on {}", track.name))?);
    }
}

async fn provide(client: &Client) -> anyhow::Result<()> {
    let upload = LibraryUpload {
        file_name: SCRIPT_NAME.into(),
        content: SCRIPT.as_bytes().to_vec(),
        description: "race".into(),
        parameters: Some("program, witness, milliseconds".into()),
        overrides: true,
    };
    client.upload(&upload).await.context("filling the library")?;
    Ok(())
}

/// Marks of the shell's two children: one that it waits for, one that outlives it unless it is killed.
const SCRIPT: &str = "#!/bin/sh
# Arguments: the program that leaves marks, the witness file, how long to live in milliseconds.
\"$1\" mark \"$2\" start
\"$1\" mark \"$2\" child --for-ms 60000 &
\"$1\" mark \"$2\" beat --for-ms \"$3\"
\"$1\" mark \"$2\" end
";

async fn known(client: &Client, name: &str) -> anyhow::Result<String> {
    let deadline = Instant::now() + KNOWN_WITHIN;
    loop {
        match client.find_machine(name).await {
            Ok(machine) => return Ok(machine.item.id),
            Err(error) if Instant::now() > deadline => return Err(error).context("the agent did not enrol"),
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

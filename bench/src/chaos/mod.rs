//! `bench chaos`: a server and agents under kills, pauses, bad networks, full disks and jumping clocks, with clients that
//! isolate, release, put files, run scripts and cancel. Judged from outside only: by what clients were told and by what
//! is found on the machines.
//!
//! One clock judges: CLOCK_MONOTONIC of this kernel, which no fault bends. Everything lies in memory that only this run
//! sees, so that nothing is left behind however it ends.

mod answers;
mod asking;
mod audit;
mod book;
mod clocks;
mod fault;
mod ground;
mod judge;
mod load;
mod proxy;
mod report;
mod rounds;
mod world;

use crate::dice::{self, Dice};
use crate::playground;
use anyhow::{Context as _, bail, ensure};
use book::Book;
use clap::Args;
use load::{Shared, Worker};
pub(crate) use proxy::Proxy;
use report::Report;
use rounds::Director;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use world::World;

/// The most agents at once.
const AGENTS_MAX: usize = 40;

/// After so many violations a mutant counts as caught.
const CAUGHT: usize = 5;

/// Which dice are whose: the director's, and from there on the workers'.
const DIRECTOR: u64 = 0;

/// A server and agents under kills, pauses, partitions, full disks and wrong clocks.
#[derive(Args, Debug)]
pub(crate) struct Chaos {
    /// For how long; the last round is played to its end.
    #[arg(long, default_value_t = 5)]
    minutes: u64,
    /// What all random choices follow from.
    #[arg(long)]
    seed: Option<u64>,
    /// How many agents.
    #[arg(long, default_value_t = 10)]
    agents: usize,
    /// Try a server that lies in this way: chaos must catch it, and fails if it does not.
    #[arg(long, value_name = "NAME")]
    mutant: Option<String>,
    /// Where logs, store and journals go if anything is wrong; default: a folder in the system's temporary folder.
    #[arg(long, value_name = "FOLDER")]
    keep: Option<PathBuf>,
    /// Tell every fault.
    #[arg(long)]
    verbose: bool,
}

impl Chaos {
    /// Does it.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        playground::check_mutant(self.mutant.as_deref(), "chaos")?;
        let seed = dice::seed_or_new(self.seed);
        let agents = self.agents.clamp(1, AGENTS_MAX);
        println!("chaos: {} minutes, {agents} agents, seed {seed}", self.minutes);
        let began = Instant::now();
        let folder = ground::take()?;
        std::fs::create_dir(folder.join("witnesses"))?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let world = Arc::new(World::open(&folder, agents, &runtime)?);
        let book = Arc::new(Book::default());
        let played = self.play(&world, &book, &runtime, seed, began);
        let report = played.and_then(|(rounds, longest)| {
            runtime.block_on(audit::answers(&world.client, &book))?;
            let took = began.elapsed();
            Report { seed, agents, rounds, longest, took, died: world.died() }.tell(
                &world,
                &book,
                &runtime,
                self.keep(),
            )
        });
        drop(runtime);
        let world = Arc::into_inner(world).context("somebody still plays")?;
        let closed = world.close();
        let violations = report?;
        closed?;
        self.conclude(violations)
    }

    fn play(
        &self,
        world: &Arc<World>,
        book: &Arc<Book>,
        runtime: &tokio::runtime::Runtime,
        seed: u64,
        began: Instant,
    ) -> anyhow::Result<(usize, Duration)> {
        runtime.block_on(load::provide(&world.client))?;
        let (gate, gated) = watch::channel(false);
        let shared = Shared { world: Arc::clone(world), book: Arc::clone(book), gate: gated };
        let mut tasks = vec![runtime.spawn({
            let shared = shared.clone();
            async move {
                load::overview(shared).await;
                Ok(())
            }
        })];
        for machine in 0..world.machines.len() {
            let dice = |class: u64| Dice::part(seed, 1 + 2 * machine as u64 + class);
            tasks.push(runtime.spawn(Worker::new(shared.clone(), machine, dice(0)).network()));
            tasks.push(runtime.spawn(Worker::new(shared.clone(), machine, dice(1)).shell()));
        }
        drop(shared);
        let mut director = Director {
            world: Arc::clone(world),
            book: Arc::clone(book),
            gate,
            dice: Dice::part(seed, DIRECTOR),
            verbose: self.verbose,
            enough: if self.mutant.is_some() { CAUGHT } else { usize::MAX },
            longest: Duration::ZERO,
            rounds: 0,
        };
        let played = director.play(began + Duration::from_secs(self.minutes * 60));
        book.given_up.store(true, Ordering::SeqCst);
        director.gate.send_replace(true);
        for task in tasks {
            runtime.block_on(task).context("a client panicked")??;
        }
        played?;
        Ok((director.rounds, director.longest))
    }

    fn keep(&self) -> impl Fn(u64) -> PathBuf {
        let keep = self.keep.clone();
        move |seed| {
            let name = format!("countermand-chaos-{seed}-{}", std::process::id());
            keep.clone().unwrap_or_else(|| std::env::temp_dir().join(name))
        }
    }

    fn conclude(&self, violations: usize) -> anyhow::Result<()> {
        match &self.mutant {
            Some(mutant) if violations > 0 => {
                println!("chaos: the mutant {mutant} was caught, by {violations} violations");
                Ok(())
            }
            Some(mutant) => bail!("the mutant {mutant} was not caught: this chaos shows nothing"),
            None => {
                ensure!(violations == 0, "{violations} violations");
                Ok(())
            }
        }
    }
}

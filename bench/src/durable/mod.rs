//! `bench durable`: many actions are created and cancelled over HTTPS while the server is killed again and again.
//! Whatever was acknowledged must be there at the end, as it was acknowledged, and once.

mod audit;
mod fill;
mod load;

use crate::dice::{self, Dice};
use crate::figures;
use crate::playground::{self, Wanted};
use crate::summary::Summary;
use anyhow::{Context as _, ensure};
pub(crate) use audit::findings_in;
use clap::Args;
use cli::client::Client;
use cli::fleet::Fleet;
pub(crate) use fill::{SLOTS_PER_MACHINE, Slot, enrol, provide, slots};
pub(crate) use load::{IN_FLIGHT, Load, Record};
use rustix::process::Signal;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// How many machines are enrolled at most: each has room for one action of each kind.
const MACHINES_MAX: usize = 4000;

/// How long the load may take, without progress, before it is given up.
const STALLED_AFTER: Duration = Duration::from_secs(120);

/// How often the load is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// Creates and cancels under fire: the server is killed in the middle, and nothing acknowledged may be lost.
#[derive(Args, Debug)]
pub(crate) struct Durable {
    /// How many actions are created; every second one is cancelled.
    #[arg(long, default_value_t = 10_000)]
    actions: usize,
    /// How often the server is killed.
    #[arg(long, default_value_t = 5)]
    kills: usize,
    /// What all random choices follow from.
    #[arg(long)]
    seed: Option<u64>,
}

impl Durable {
    /// Does it.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let seed = dice::seed_or_new(self.seed);
        println!("durable: {} actions, {} kills, {IN_FLIGHT} in flight, seed {seed}", self.actions, self.kills);
        let server_args = vec!["--no-limits"];
        let uses = u32::try_from(MACHINES_MAX)?;
        let (mut fleet, folder) = playground::open(Wanted { machines: vec![], server_args, enrol_uses: uses })?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let outcome = self.play(&mut fleet, &runtime, seed);
        drop(runtime);
        let closed = playground::close(fleet, folder);
        outcome?;
        closed
    }

    fn play(&self, fleet: &mut Fleet, runtime: &Runtime, seed: u64) -> anyhow::Result<()> {
        let machines = self.actions.div_ceil(SLOTS_PER_MACHINE).clamp(1, MACHINES_MAX);
        let began = Instant::now();
        let client = fleet.client()?;
        let ids = runtime.block_on(enrol(fleet, machines))?;
        println!("  {machines} machines enrolled, {:.0} a second", figures::per_second(machines, began.elapsed()));
        runtime.block_on(provide(&client))?;
        let mut dice = Dice::new(seed);
        let mut slots = slots(&ids);
        dice.shuffle(&mut slots);
        let load = Arc::new(Load::new(slots, self.actions, seed));
        let began = Instant::now();
        let running = Load::start(&load, runtime, &client);
        self.kill_meanwhile(fleet, &load, &mut dice)?;
        runtime.block_on(async {
            for task in running {
                task.await.context("a task of the load panicked")??;
            }
            anyhow::Ok(())
        })?;
        let records = load.take();
        load::print(&records, began.elapsed());
        let wrong = self.audit(fleet, runtime, &client, &records)?;
        audit::show(&wrong);
        let summary = Summary {
            what: "durable",
            how_much: format!("{} actions, {} kills", records.len(), self.kills),
            seeds: seed.to_string(),
            failures: wrong.len(),
            remark: format!("{} answers lost", load.in_doubt()),
        };
        summary.hand_over()?;
        ensure!(wrong.is_empty(), "{} findings", wrong.len());
        Ok(())
    }

    /// Kills the server at random moments of the load, each in its own part of it, and starts it again.
    fn kill_meanwhile(&self, fleet: &mut Fleet, load: &Load, dice: &mut Dice) -> anyhow::Result<()> {
        let part = u64::try_from(self.actions / (self.kills + 1))?;
        for kill in 1..=u64::try_from(self.kills)? {
            let at = usize::try_from(part * kill - dice.below(part.max(2) / 2))?;
            load.wait_until(at, STALLED_AFTER, LOOK_EVERY)?;
            std::thread::sleep(dice.within(Duration::from_millis(20)));
            fleet.stop_server(Signal::KILL)?;
            let began = Instant::now();
            fleet.start_server()?;
            println!(
                "  killed after {at} actions, back in {:.0} ms; {} answers lost so far",
                figures::millis(began.elapsed()),
                load.in_doubt()
            );
        }
        load.wait_until(self.actions, STALLED_AFTER, LOOK_EVERY)
    }

    fn audit(
        &self,
        fleet: &mut Fleet,
        runtime: &Runtime,
        client: &Client,
        records: &[Record],
    ) -> anyhow::Result<Vec<String>> {
        let mut wrong = runtime.block_on(audit::compare(client, records))?;
        wrong.extend(runtime.block_on(audit::histories(client, records))?);
        // Once more from the disk alone: what a further crash would leave.
        fleet.stop_server(Signal::KILL)?;
        wrong.extend(audit::file(&store_file(fleet), records)?);
        Ok(wrong)
    }
}

/// Where the server keeps what is on record.
fn store_file(fleet: &Fleet) -> std::path::PathBuf {
    Path::new(&fleet.data_dir()).join("countermand.db")
}

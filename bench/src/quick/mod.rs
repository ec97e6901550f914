//! `bench bench`: figures, each beside what this machine can do at best, measured in the same run. Ratios travel from
//! machine to machine, seconds do not.

mod commits;
mod kills;
mod stops;
mod throughput;

use anyhow::{Context as _, ensure};
use clap::Args;
use kills::PlainKills;
use serde::Serialize;
use std::path::PathBuf;
use stops::Stops;
use throughput::Throughput;

use crate::dice;
use crate::figures::Spread;

/// Measures creates, cancels, and the time from a cancel to its proof.
#[derive(Args, Debug)]
pub(crate) struct Bench {
    /// Fewer of everything: first figures within two minutes.
    #[arg(long)]
    quick: bool,
    /// Write the figures there too, as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// What all random choices follow from.
    #[arg(long)]
    seed: Option<u64>,
}

/// How much is measured.
#[derive(Clone, Copy, Debug)]
struct Amounts {
    /// Actions that are created, and then cancelled.
    actions: usize,
    /// How often that is done; the best counts, as it does for what it is compared with.
    rounds: usize,
    /// Running scripts that are cancelled.
    cancels: usize,
}

/// With `--quick`, and without.
const QUICK: Amounts = Amounts { actions: 3_000, rounds: 2, cancels: 200 };
const FULL: Amounts = Amounts { actions: 12_000, rounds: 5, cancels: 1_000 };

/// Everything that was measured.
#[derive(Debug, Serialize)]
struct Figures {
    seed: u64,
    creates_per_second: f64,
    cancels_per_second: f64,
    /// Grouped commits of rows like these, by one thread that does nothing else.
    commits_per_second: f64,
    creates_to_commits: f64,
    cancels_to_commits: f64,
    cancel_to_proof: Spread,
    plain_kill: Spread,
    cancel_to_kill_p50: f64,
    cancel_to_kill_p99: f64,
}

impl Bench {
    /// Does it.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let seed = dice::seed_or_new(self.seed);
        let amounts = if self.quick { QUICK } else { FULL };
        println!("bench: seed {seed}, {amounts:?}");
        let (mut creates, mut cancels, mut commits) = (0.0_f64, 0.0_f64, 0.0_f64);
        let throughput = Throughput::open(amounts.actions)?;
        for _ in 0..amounts.rounds {
            let rates = throughput.round()?;
            (creates, cancels) = (creates.max(rates.creates), cancels.max(rates.cancels));
            commits = commits.max(commits::per_second()?);
        }
        throughput.close()?;
        let stops = Stops::measure(amounts.cancels, seed)?;
        let kills = PlainKills::measure(amounts.cancels, seed)?;
        let ratio = |ours: f64, limit: f64| ours / limit.max(f64::MIN_POSITIVE);
        let figures = Figures {
            seed,
            creates_per_second: creates,
            cancels_per_second: cancels,
            commits_per_second: commits,
            creates_to_commits: ratio(creates, commits),
            cancels_to_commits: ratio(cancels, commits),
            cancel_to_kill_p50: ratio(stops.p50_ms, kills.p50_ms),
            cancel_to_kill_p99: ratio(stops.p99_ms, kills.p99_ms),
            cancel_to_proof: stops,
            plain_kill: kills,
        };
        figures.print();
        if let Some(path) = &self.json {
            let text = serde_json::to_string_pretty(&figures)? + "\n";
            std::fs::write(path, text).with_context(|| path.display().to_string())?;
        }
        ensure!(figures.cancel_to_proof.count > 0, "nothing was measured");
        Ok(())
    }
}

impl Figures {
    fn print(&self) {
        println!("\n  {:<46} {:>12} {:>14} {:>8}", "", "ours", "at best here", "ratio");
        let rate = |what: &str, ours: f64, ratio: f64| {
            println!("  {what:<46} {ours:>10.0}/s {:>12.0}/s {ratio:>8.3}", self.commits_per_second);
        };
        rate("durable creates over HTTPS, 64 in flight", self.creates_per_second, self.creates_to_commits);
        rate("durable cancels of Pending, 64 in flight", self.cancels_per_second, self.cancels_to_commits);
        let time = |what: &str, ours: f64, best: f64, ratio: f64| {
            println!("  {what:<46} {ours:>9.1} ms {best:>11.1} ms {ratio:>8.2}");
        };
        let (ours, best) = (&self.cancel_to_proof, &self.plain_kill);
        time("cancel of a running script to its proof, p50", ours.p50_ms, best.p50_ms, self.cancel_to_kill_p50);
        time("cancel of a running script to its proof, p99", ours.p99_ms, best.p99_ms, self.cancel_to_kill_p99);
        println!(
            "\n  at best here: commits of groups of 64 such rows by one thread; SIGKILL until the same processes are gone"
        );
        println!("  cancel to proof  {ours}\n  plain SIGKILL    {best}");
    }
}

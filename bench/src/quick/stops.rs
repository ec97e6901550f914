//! From a cancel's request to its proof: a script with a child and a grandchild runs on a machine, is cancelled, and the
//! answer says Cancelled, which it does only once all three are dead and the machine has said so.

use super::kills::{SCRIPT, TREE, wait_tree};
use crate::dice::Dice;
use crate::figures::Spread;
use crate::playground::{self, Wanted};
use anyhow::{Context as _, ensure};
use cli::client::{Client, LibraryUpload};
use cli::fleet::Fleet;
use protocol::defender::action::{CommandWords, Param};
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// The machine's name.
const MACHINE: &str = "runner";

/// The script's name in the library.
const SCRIPT_NAME: &str = "tree.sh";

/// How long the agent may take to be known.
const KNOWN_WITHIN: Duration = Duration::from_secs(60);

/// How long a script may run before it is cancelled.
const RUNS_UP_TO: Duration = Duration::from_millis(40);

/// The measurement.
pub(super) struct Stops;

impl Stops {
    /// Cancels so many scripts, one after another.
    ///
    /// # Errors
    /// One is not answered with Cancelled.
    pub(super) fn measure(count: usize, seed: u64) -> anyhow::Result<Spread> {
        let wanted = Wanted { machines: vec![MACHINE.into()], server_args: vec!["--no-limits"], enrol_uses: 1 };
        let (mut fleet, folder) = playground::open(wanted)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let measured = play(&mut fleet, &runtime, folder.path(), count, seed);
        drop(runtime);
        let closed = playground::close(fleet, folder);
        let lengths = measured?;
        closed?;
        Ok(Spread::of(lengths))
    }
}

fn play(fleet: &mut Fleet, runtime: &Runtime, folder: &Path, count: usize, seed: u64) -> anyhow::Result<Vec<Duration>> {
    let client = fleet.client()?;
    fleet.add_machine(MACHINE)?;
    fleet.start_agent(MACHINE, &[])?;
    let upload = LibraryUpload {
        file_name: SCRIPT_NAME.into(),
        content: SCRIPT.as_bytes().to_vec(),
        description: "bench".into(),
        parameters: Some("program, witness".into()),
        overrides: true,
    };
    runtime.block_on(client.upload(&upload))?;
    let machine = runtime.block_on(known(&client))?;
    let program = playground::own_program()?;
    let mut dice = Dice::new(seed);
    let mut lengths = Vec::with_capacity(count);
    for number in 0..count {
        let witness = folder.join(format!("witness-{number}"));
        let args = format!("{program} {}", witness.display());
        lengths.push(one(runtime, &client, &machine, &args, &witness, &mut dice)?);
    }
    Ok(lengths)
}

fn one(
    runtime: &Runtime,
    client: &Client,
    machine: &str,
    args: &str,
    witness: &Path,
    dice: &mut Dice,
) -> anyhow::Result<Duration> {
    let param = |key: &str, value: &str| Param { key: key.into(), value: value.into() };
    let params = vec![param("ScriptName", SCRIPT_NAME), param("Args", args)];
    let commands = [CommandWords { r#type: "RunScript".into(), params }];
    let created = runtime.block_on(client.live_response(machine, "bench", &commands)).context("creating")?;
    wait_tree(witness)?;
    std::thread::sleep(dice.within(RUNS_UP_TO));
    let asked = Instant::now();
    let answer = runtime.block_on(client.cancel(&created.item.id, "bench")).context("cancelling")?;
    let took = asked.elapsed();
    ensure!(answer.item.status == "Cancelled", "a cancel was answered {} after {took:?}", answer.item.status);
    ensure!(crate::marks::read(witness)?.len() == TREE, "the witness is not that of one tree");
    Ok(took)
}

async fn known(client: &Client) -> anyhow::Result<String> {
    let deadline = Instant::now() + KNOWN_WITHIN;
    loop {
        match client.find_machine(MACHINE).await {
            Ok(machine) => return Ok(machine.item.id),
            Err(error) if Instant::now() > deadline => return Err(error).context("the agent did not enrol"),
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

//! (a) A cancel of an action for a machine that is off: Cancelled at once, and it never runs.

use super::{expect_status, finished, known, script};
use crate::demo::Play;
use crate::demo::show::{history, ms, say, scene};
use anyhow::ensure;
use rustix::process::Signal;
use std::time::Instant;

const MACHINE: &str = "web-01";

pub(in crate::demo) async fn cancel_for_a_machine_that_is_off(play: &mut Play) -> anyhow::Result<()> {
    scene("a", "A cancel of an action for a machine that is off");
    known(&play.client, MACHINE).await?;
    play.fleet.stop_agent(MACHINE, Signal::KILL)?;
    let mark = play.marks.join("a-must-not-run");
    let text = "#!/bin/sh\necho \"$1\" >> \"$2\"\n";
    let action = script(play, MACHINE, "a.sh", text, &format!("first {}", mark.display())).await?;
    say(&format!("{MACHINE} is off; a script is requested for it: {}", action.status));
    expect_status(&action, "Pending")?;

    let asked = Instant::now();
    let cancelled = play.client.cancel(&action.id, "by mistake").await?.item;
    say(&format!("cancelled: the answer says {} after {}", cancelled.status, ms(asked.elapsed())));
    expect_status(&cancelled, "Cancelled")?;

    play.fleet.start_agent(MACHINE, &[])?;
    // Something requested later is done, so the agent is there and has looked at everything that waits.
    let second = script(play, MACHINE, "a.sh", text, &format!("second {}", mark.display())).await?;
    expect_status(&finished(play, &second.id).await?, "Succeeded")?;
    let ran = std::fs::read_to_string(&mark)?;
    ensure!(ran == "second\n", "the cancelled script left a mark: {ran:?}");
    say(&format!("{MACHINE} is on again: a later script ran, the cancelled one never did"));
    history(&play.client, &action.id).await
}

//! (c) An isolation that is cancelled while it proves itself: the table is gone, connections work again.

use super::{STEP_LIMIT, expect_status, finished, known};
use crate::demo::show::{history, ms, say, scene};
use crate::demo::{Play, until};
use crate::stage::{HUB_IPV4, Place};
use anyhow::{Context as _, ensure};
use std::time::Instant;

const MACHINE: &str = "db-03";

/// The API's port, which an isolated machine has no business with: its agent needs only the agent listener.
const ELSEWHERE: u16 = 8443;

/// Lets established connections to the agent listener live and holds up new ones, so that the isolation's self-test
/// waits and there is time to cancel in.
const HOLD_UP: &str = "add table inet demo; \
    add chain inet demo input { type filter hook input priority 0; policy accept; }; \
    add rule inet demo input tcp dport 8444 tcp flags & (syn | ack) == syn drop";

pub(in crate::demo) async fn cancel_an_isolation(play: &mut Play) -> anyhow::Result<()> {
    scene("c", "An isolation, cancelled");
    let id = known(&play.client, MACHINE).await?;
    ensure!(reaches(play)?, "{MACHINE} does not reach {HUB_IPV4}:{ELSEWHERE} to begin with");
    say(&format!("{MACHINE} reaches {HUB_IPV4}:{ELSEWHERE}"));
    hub(play, &["nft", HOLD_UP])?;
    let action = play.client.isolate(&id, "demo").await?.item;
    until("the isolation is loaded", STEP_LIMIT, async || Ok(table(play)?.then_some(()))).await?;
    ensure!(!reaches(play)?, "the isolated machine still reaches {HUB_IPV4}:{ELSEWHERE}");
    say(&format!("isolated: its table is loaded, {HUB_IPV4}:{ELSEWHERE} is refused, the agent's stream lives"));

    let asked = Instant::now();
    let answer = play.client.cancel(&action.id, "production is down").await?.item;
    say(&format!("cancelled: the answer says {} after {}", answer.status, ms(asked.elapsed())));
    let ended = finished(play, &action.id).await?;
    let proven = asked.elapsed();
    expect_status(&ended, "Cancelled")?;
    ensure!(!table(play)?, "the table is still there");
    ensure!(reaches(play)?, "{MACHINE} does not reach {HUB_IPV4}:{ELSEWHERE} again");
    say(&format!("Cancelled is shown after {}: table gone, {HUB_IPV4}:{ELSEWHERE} is reached again", ms(proven)));
    hub(play, &["nft", "delete table inet demo"])?;
    history(&play.client, &action.id).await
}

fn table(play: &Play) -> anyhow::Result<bool> {
    let listed = play.fleet.look(MACHINE, &["nft", "list", "tables"])?;
    ensure!(listed.success(), "nft cannot list: {}", listed.stderr);
    Ok(listed.stdout.contains("inet countermand"))
}

fn reaches(play: &Play) -> anyhow::Result<bool> {
    let connect = format!("exec 3<>/dev/tcp/{HUB_IPV4}/{ELSEWHERE}");
    Ok(play.fleet.look(MACHINE, &["timeout", "3", "bash", "-c", &connect])?.success())
}

fn hub(play: &Play, argv: &[&str]) -> anyhow::Result<()> {
    let output = play.fleet.stage().exec(&Place::Hub, argv).context("in the hub")?;
    ensure!(output.success(), "{}: {}", argv.join(" "), output.stderr);
    Ok(())
}

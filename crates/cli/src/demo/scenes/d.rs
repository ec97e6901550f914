//! (d) A cancel that comes too late: the result stands.

use super::{expect_status, finished, script};
use crate::client::ClientError;
use crate::demo::Play;
use crate::demo::show::{history, say, scene};
use anyhow::{bail, ensure};

const MACHINE: &str = "mail-04";

pub(in crate::demo) async fn cancel_too_late(play: &mut Play) -> anyhow::Result<()> {
    scene("d", "A cancel that comes too late");
    let action = script(play, MACHINE, "d.sh", "#!/bin/sh\necho done\n", "").await?;
    let ended = finished(play, &action.id).await?;
    expect_status(&ended, "Succeeded")?;
    say(&format!("a script ran on {MACHINE} to its end: {}", ended.status));
    match play.client.cancel(&action.id, "too late").await {
        Err(ClientError::Api { status: 400, message, .. }) => say(&format!("cancelled: 400, {message}")),
        Err(e) => return Err(e.into()),
        Ok(answer) => bail!("the cancel was accepted: {}", answer.item.status),
    }
    let after = play.client.action(&action.id).await?.item;
    ensure!(after == ended, "the refused cancel changed the action");
    say("the action is as it was, in every field");
    history(&play.client, &action.id).await
}

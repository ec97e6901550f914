//! The scenes, a file each, and what they share.

pub(super) mod a;
pub(super) mod b;
pub(super) mod c;
pub(super) mod d;

use super::{Play, until};
use crate::client::{Client, LibraryUpload};
use anyhow::{Context as _, bail};
use protocol::defender::action::{CommandWords, MachineAction, Param};
use std::time::Duration;

/// How long a step of a scene may take.
pub(super) const STEP_LIMIT: Duration = Duration::from_secs(30);

/// The statuses that never move again.
const FINAL: [&str; 4] = ["Succeeded", "Failed", "TimeOut", "Cancelled"];

/// The id of a machine, once the server knows it and its agent has said what it can do.
pub(super) async fn known(client: &Client, name: &str) -> anyhow::Result<String> {
    until(&format!("{name} is known"), STEP_LIMIT, async || match client.find_machine(name).await {
        Ok(found) if !found.item.agent_version.is_empty() => Ok(Some(found.item.id)),
        _ => Ok(None),
    })
    .await
}

/// Uploads a script and asks a machine to run it.
pub(super) async fn script(
    play: &Play,
    machine: &str,
    name: &str,
    text: &str,
    args: &str,
) -> anyhow::Result<MachineAction> {
    let id = known(&play.client, machine).await?;
    let upload = LibraryUpload {
        file_name: name.into(),
        content: text.as_bytes().to_vec(),
        description: "demo".into(),
        parameters: None,
        overrides: true,
    };
    play.client.upload(&upload).await?;
    let param = |key: &str, value: &str| Param { key: key.into(), value: value.into() };
    let params = vec![param("ScriptName", name), param("Args", args)];
    let command = CommandWords { r#type: "RunScript".into(), params };
    Ok(play.client.live_response(&id, "demo", &[command]).await?.item)
}

/// The action once it is final.
pub(super) async fn finished(play: &Play, id: &str) -> anyhow::Result<MachineAction> {
    until("the action is final", STEP_LIMIT, async || {
        let action = play.client.action(id).await?.item;
        Ok(FINAL.contains(&action.status.as_str()).then_some(action))
    })
    .await
}

/// The command lines on this computer that contain `mark`: processes of the stage are seen from outside.
pub(super) fn processes_with(mark: &str) -> anyhow::Result<Vec<String>> {
    let mut found = vec![];
    for entry in std::fs::read_dir("/proc").context("/proc")?.flatten() {
        let name = entry.file_name();
        let is_process = name.to_string_lossy().bytes().all(|byte| byte.is_ascii_digit());
        // A process that ended meanwhile has no command line to read.
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if is_process && line.contains(mark) {
            found.push(line);
        }
    }
    Ok(found)
}

pub(super) fn expect_status(action: &MachineAction, status: &str) -> anyhow::Result<()> {
    if action.status != status {
        bail!("{} shows {}, not {status}", action.id, action.status);
    }
    Ok(())
}

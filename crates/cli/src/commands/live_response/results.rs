//! What the commands of a live response brought: printed, or saved as files. The machine is not trusted to name them.

use crate::client::{Client, ClientError, Transcript};
use crate::commands::Complaint;
use crate::output::{Output, notice};
use protocol::defender::action::{CommandState, MachineAction};
use std::path::{Path, PathBuf};

/// The largest file that is fetched, in bytes.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024 * 1024;
/// The largest transcript that is printed, in bytes.
const TRANSCRIPT_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// So much of a name is used for a file, in characters.
const NAME_CHARS_MAX: usize = 80;
/// Evidence is for who fetched it only.
const FILE_MODE: u32 = 0o600;

/// Makes sure that the directory is there.
pub(super) fn prepare(directory: &Path) -> Result<(), Complaint> {
    std::fs::create_dir_all(directory).map_err(|error| unwritable(directory, &error))
}

/// Saves the results, or prints what the scripts said where nothing is to be saved.
pub(super) async fn fetch(
    action: &MachineAction,
    directory: Option<&Path>,
    client: &Client,
    output: Output,
) -> Result<(), Complaint> {
    for command in action.commands.iter().filter(|command| command.command.r#type != "PutFile") {
        if !matches!(command.command_status.as_str(), "Completed" | "Failed") {
            continue;
        }
        let link = match client.result_link(&action.id, command.index).await {
            Ok(link) => link,
            // A command that failed may well have brought nothing.
            Err(ClientError::Api { status: 400 | 404, .. }) if command.command_status == "Failed" => continue,
            Err(error) => return Err(error.into()),
        };
        match directory {
            Some(directory) => save(&link, &directory.join(file_name(&action.id, command)), client, output).await?,
            None if output.is_table() && command.command.r#type == "RunScript" => {
                print(&link, command, client, output).await?;
            }
            None => {}
        }
    }
    Ok(())
}

/// Saves it under its final name only when all of it is there. An existing file is left alone.
async fn save(link: &str, path: &Path, client: &Client, output: Output) -> Result<(), Complaint> {
    if path.exists() {
        notice(&format!("{} is there already; left as it is.", path.display()));
        return Ok(());
    }
    let part = PathBuf::from(format!("{}.part", path.display()));
    let mut options = tokio::fs::OpenOptions::new();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(FILE_MODE)
        .open(&part)
        .await
        .map_err(|error| unwritable(&part, &error))?;
    let downloaded = client.download(link, &mut file, FILE_BYTES_MAX).await;
    let synced = file.sync_all().await;
    let bytes = match downloaded {
        Ok(bytes) => bytes,
        Err(error) => {
            // What is not complete must not be taken for evidence; if it cannot be removed, its name still says so.
            let _ = tokio::fs::remove_file(&part).await;
            return Err(error.into());
        }
    };
    synced.map_err(|error| unwritable(&part, &error))?;
    tokio::fs::rename(&part, path).await.map_err(|error| unwritable(path, &error))?;
    output.line(&format!("Saved {} ({bytes} bytes)", path.display()));
    Ok(())
}

/// Prints what a script said, line by line, each made harmless.
async fn print(link: &str, command: &CommandState, client: &Client, output: Output) -> Result<(), Complaint> {
    let mut bytes = Vec::new();
    client.download(link, &mut bytes, TRANSCRIPT_BYTES_MAX).await?;
    let Ok(transcript) = serde_json::from_slice::<Transcript>(&bytes) else {
        notice(&format!("The result of command {} is not a transcript; fetch it with --save-to.", command.index));
        return Ok(());
    };
    output.line(&format!("--- {}: exit code {}", transcript.script_name, transcript.exit_code));
    transcript.script_output.lines().for_each(|line| output.line(line));
    if !transcript.script_errors.is_empty() {
        output.line(&format!("--- {}: errors", transcript.script_name));
        transcript.script_errors.lines().for_each(|line| output.line(line));
    }
    Ok(())
}

/// `{action id}-{index}-{name}`, made of characters that mean nothing to a file system or a shell.
fn file_name(action_id: &str, command: &CommandState) -> String {
    let wanted = if command.command.r#type == "RunScript" { ("ScriptName", "json") } else { ("Path", "gz") };
    let (key, ending) = wanted;
    let named = command.command.params.iter().find(|param| param.key == key).map_or("", |param| param.value.as_str());
    let base = named.rsplit('/').next().unwrap_or_default();
    let tame = |text: &str| -> String {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        text.chars().take(NAME_CHARS_MAX).map(|c| if is_plain(c) { c } else { '_' }).collect()
    };
    // An id that begins with a point would be a hidden file, or worse.
    let id = tame(action_id.trim_start_matches('.'));
    format!("{id}-{}-{}.{ending}", command.index, tame(base))
}

fn unwritable(path: &Path, error: &std::io::Error) -> Complaint {
    Complaint::local(format!("cannot write {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_leaves_the_directory() {
        for (kind, key, value, expected) in [
            ("GetFile", "Path", "/etc/passwd", "a1-0-passwd.gz"),
            ("GetFile", "Path", "/x/..", "a1-0-...gz"),
            ("GetFile", "Path", "/x/$(id) y\n", "a1-0-__id__y_.gz"),
            ("RunScript", "ScriptName", "../../triage.sh", "a1-0-triage.sh.json"),
        ] {
            let command = serde_json::json!({
                "index": 0, "startTime": null, "endTime": null, "commandStatus": "Completed", "errors": [],
                "command": { "type": kind, "params": [{ "key": key, "value": value }] }
            });
            let name = file_name("a1", &serde_json::from_value(command).unwrap());
            assert_eq!(name, expected);
            assert!(!name.contains('/'));
        }
        let command = serde_json::json!({
            "index": 1, "startTime": null, "endTime": null, "commandStatus": "Completed", "errors": [],
            "command": { "type": "GetFile", "params": [] }
        });
        assert_eq!(file_name("../../x", &serde_json::from_value(command).unwrap()), "_.._x-1-.gz");
    }
}

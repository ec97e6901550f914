//! What is tortured: for each executor what is asked for, how the machine must stand before, and where its middle is.

use super::rig::Rig;
use anyhow::{Context as _, bail};
use cli::client::LibraryUpload;
use protocol::defender::action::{CommandWords, Param};
use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;

/// The script of the tests: it leaves a witness, a child and a daemon, all of which carry the marker.
const SCRIPT: &str = "#!/bin/sh
# Arguments: witness file, seconds to live, marker.
export COUNTERMAND_MARKER=\"$3\"
echo start >> \"$1\"
sleep 300 &
( setsid sh -c 'sleep 300; :' < /dev/null > /dev/null 2>&1 & )
sleep \"$2\"
echo end >> \"$1\"
";

/// The script's name in the library.
pub(super) const SCRIPT_NAME: &str = "tree.sh";

/// The name of the file that is put.
pub(super) const PAYLOAD_NAME: &str = "payload.bin";

/// How long a script lives that comes to its end, and one that does not, in seconds.
const SHORT_LIFE: &str = "0.05";
const LONG_LIFE: &str = "300";

/// An executor under torture, in a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Play {
    /// Isolate a machine that is not isolated.
    Isolate,
    /// Isolate one that is isolated already: the earlier table must come back.
    IsolateAgain,
    /// Release an isolated machine.
    Release,
    /// Put a file where there is none.
    PutFile,
    /// Put a file where there is an older one.
    PutFileOver,
    /// Run a script with a child and a daemon.
    RunScript,
    /// Get a file.
    GetFile,
    /// Put, run, get.
    Sequence,
}

/// What one case leaves behind on purpose, to be known by.
pub(super) struct Case {
    /// Carried by every process of the script.
    pub(super) marker: String,
    /// Where the script leaves its witness.
    pub(super) witness: PathBuf,
}

impl Play {
    /// All of them.
    pub(super) const ALL: [Self; 8] = [
        Self::Sequence,
        Self::Isolate,
        Self::IsolateAgain,
        Self::Release,
        Self::PutFile,
        Self::PutFileOver,
        Self::RunScript,
        Self::GetFile,
    ];

    /// Its name on the command line.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Isolate => "isolate",
            Self::IsolateAgain => "isolate-again",
            Self::Release => "release",
            Self::PutFile => "put-file",
            Self::PutFileOver => "put-file-over",
            Self::RunScript => "run-script",
            Self::GetFile => "get-file",
            Self::Sequence => "sequence",
        }
    }

    /// How many steps it has.
    pub(super) fn steps(self) -> usize {
        if self == Self::Sequence { 3 } else { 1 }
    }

    /// Whether a script is part of it.
    pub(super) fn runs_script(self) -> bool {
        matches!(self, Self::RunScript | Self::Sequence)
    }

    /// Whether a file is put.
    pub(super) fn puts_file(self) -> bool {
        matches!(self, Self::PutFile | Self::PutFileOver | Self::Sequence)
    }

    /// The index of the command that gets a file, if one does.
    pub(super) fn gets_file(self) -> Option<u16> {
        match self {
            Self::GetFile => Some(0),
            Self::Sequence => Some(2),
            _ => None,
        }
    }

    /// The place at which the effect stands and is not yet recorded as done.
    pub(super) fn middle(self) -> &'static str {
        match self {
            Self::Isolate | Self::IsolateAgain => "isolate.loaded",
            Self::Release => "release.lifted",
            Self::PutFile | Self::PutFileOver => "put_file.put",
            Self::RunScript | Self::Sequence => "run_script.spawned",
            Self::GetFile => "get_file.collected",
        }
    }

    /// The place at which it can be held up for as long as one likes, if there is one.
    pub(super) fn can_be_held(self) -> Option<&'static str> {
        match self {
            Self::Isolate | Self::IsolateAgain => Some("isolate.cut"),
            Self::RunScript | Self::Sequence => Some("run_script.spawned"),
            // They are over in an instant: a cancel meets them only in a death.
            Self::Release | Self::PutFile | Self::PutFileOver | Self::GetFile => None,
        }
    }

    /// Whether it is held up by letting new connections of its machine hang.
    pub(super) fn held_by_network(self) -> bool {
        matches!(self, Self::Isolate | Self::IsolateAgain)
    }

    /// Asks for it; returns the action's id. `lives_long`: its script does not end by itself.
    pub(super) fn request(self, rig: &Rig, case: &Case, lives_long: bool) -> anyhow::Result<String> {
        let put = || command("PutFile", &[("FileName", PAYLOAD_NAME)]);
        let life = if lives_long { LONG_LIFE } else { SHORT_LIFE };
        let args = format!("{} {life} {}", case.witness.display(), case.marker);
        let run = || command("RunScript", &[("ScriptName", SCRIPT_NAME), ("Args", &args)]);
        let path = evidence(rig).to_string_lossy().into_owned();
        let get = || command("GetFile", &[("Path", &path)]);
        let commands = match self {
            Self::Isolate | Self::IsolateAgain => {
                return Ok(rig.ask(|client, id| async move { client.isolate(&id, "torture").await })?.item.id);
            }
            Self::Release => {
                return Ok(rig.ask(|client, id| async move { client.release(&id, "torture").await })?.item.id);
            }
            Self::PutFile | Self::PutFileOver => vec![put()],
            Self::RunScript => vec![run()],
            Self::GetFile => vec![get()],
            Self::Sequence => vec![put(), run(), get()],
        };
        let asked = rig.ask(|client, id| async move { client.live_response(&id, "torture", &commands).await })?;
        Ok(asked.item.id)
    }

    /// Brings the machine to where the case begins. The agent does not run.
    pub(super) fn prepare(self, rig: &mut Rig) -> anyhow::Result<()> {
        let wants_isolation = matches!(self, Self::IsolateAgain | Self::Release);
        match (wants_isolation, rig.look()?.table.is_some()) {
            (true, false) => run_to_its_end(rig, Self::Isolate)?,
            (false, true) => run_to_its_end(rig, Self::Release)?,
            _ => {}
        }
        let downloads = rig.fleet.state_dir(&rig.name).join("downloads");
        if downloads.exists() {
            fs::remove_dir_all(&downloads)?;
        }
        if self == Self::PutFileOver {
            fs::DirBuilder::new().mode(0o700).create(&downloads)?;
            fs::write(downloads.join(PAYLOAD_NAME), b"the older file")?;
        }
        Ok(())
    }
}

/// Fills the library, and writes what is to be got.
pub(super) fn provide(rig: &Rig) -> anyhow::Result<()> {
    for (file_name, content, parameters) in
        [(SCRIPT_NAME, SCRIPT.as_bytes().to_vec(), Some("witness, life, marker")), (PAYLOAD_NAME, payload(), None)]
    {
        let upload = LibraryUpload {
            file_name: file_name.into(),
            content,
            description: "torture".into(),
            parameters: parameters.map(String::from),
            overrides: true,
        };
        rig.ask(|client, _| async move { client.upload(&upload).await })?;
    }
    fs::write(evidence(rig), b"evidence").context("writing the file to be got")
}

/// What is put.
pub(super) fn payload() -> Vec<u8> {
    (0..=255).cycle().take(100_000).collect()
}

/// The file that is got.
pub(super) fn evidence(rig: &Rig) -> PathBuf {
    rig.file("evidence")
}

fn run_to_its_end(rig: &mut Rig, play: Play) -> anyhow::Result<()> {
    let case = Case { marker: "none".into(), witness: rig.file("no-witness") };
    let action = play.request(rig, &case, false)?;
    let life = rig.start(None)?;
    let ended = rig.wait_final(&action)?;
    if ended.status != "Succeeded" {
        bail!("cannot set the machine up: {} ended {}: {:?}", play.name(), ended.status, ended.troubleshoot_info);
    }
    rig.wait_forgotten(&[&life], &action)?;
    rig.stop()
}

fn command(kind: &str, params: &[(&str, &str)]) -> CommandWords {
    let param = |(key, value): &(&str, &str)| Param { key: (*key).into(), value: (*value).into() };
    CommandWords { r#type: kind.into(), params: params.iter().map(param).collect() }
}

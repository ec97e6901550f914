//! RunScript: a library script runs in a group of its own, which can be killed whole.
//!
//! What a script does cannot be undone by anyone but its author. Undo therefore sees to it that nothing of it runs any
//! more, and says that it ran and for how long.

use std::path::PathBuf;
use std::time::Duration;

use domain::Digest;
use domain::command::LibraryRef;
use domain::grantee::UndoRecord;
use domain::testimony::Artifact;
use serde::{Deserialize, Serialize};

use super::super::{Broke, Context, Done, Observed, StopSignal, artifact_path};
use super::{check_content, content};
use crate::crash;
use crate::host::{Captured, Ended, Exit, HostError, SpawnSpec, check_file_name};

/// How long a script may run.
pub const SCRIPT_LIMIT: Duration = Duration::from_millis(10 * 60 * 1000);
/// How much is kept of each of a script's two outputs, in bytes.
pub const OUTPUT_BYTES_MAX: usize = 1024 * 1024;
/// A script's search path.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// What runs a script that does not say what runs it.
const SHELL: &str = "/bin/sh";
/// Permission bits of a script: for root alone, and it may be started.
const SCRIPT_MODE: u32 = 0o700;
/// The exit code shown for a script that did not come to its end.
const NO_EXIT_CODE: i32 = -1;
/// What a shell adds to the number of the signal that ended a program.
const SIGNAL_BASE: i32 = 128;
/// The largest note read back, in bytes; ours have some dozens.
const NOTE_BYTES_MAX: u64 = 4096;

/// The result that the caller fetches, in the reference product's form; nothing in it is ever null.
#[derive(Debug, Serialize)]
struct Output {
    script_name: String,
    exit_code: i32,
    script_output: String,
    script_errors: String,
}

/// What undo tells from: written before the script runs, and again when it ended.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Note {
    /// The shim itself said that it did not start it.
    never_ran: bool,
    lasted_ms: Option<u64>,
    how: Option<String>,
}

pub(super) fn plan(script: &LibraryRef, args: Option<&str>) -> Result<UndoRecord, Broke> {
    check_file_name(&script.name)?;
    split(args)?;
    // The name of the group follows from action and step.
    Ok(UndoRecord(Vec::new()))
}

pub(super) fn start(
    cx: &Context<'_>,
    step: u16,
    script: &LibraryRef,
    args: Option<&str>,
    stop: &StopSignal,
) -> Result<Done, Broke> {
    let spec = match spec(cx, step, script, args) {
        Ok(spec) => spec,
        Err(broke) => {
            write_note(cx, step, &Note { never_ran: true, ..Note::default() })?;
            return Err(broke);
        }
    };
    crash::reached("run_script.begin");
    write_note(cx, step, &Note::default())?;
    crash::reached("run_script.noted");
    let running = match cx.host.spawn(&spec) {
        Ok(running) => running,
        Err(error @ HostError::NotStarted(_)) => {
            write_note(cx, step, &Note { never_ran: true, ..Note::default() })?;
            return Err(error.into());
        }
        Err(error) => return Err(error.into()),
    };
    crash::reached("run_script.spawned");
    let exit = running.wait(stop)?;
    crash::reached("run_script.ended");
    let (how, why) = told(script, &exit);
    let lasted_ms = u64::try_from(exit.lasted.as_millis()).ok();
    write_note(cx, step, &Note { lasted_ms, how: Some(how), ..Note::default() })?;
    let artifact = Some(write_output(cx, step, script, &exit, why.as_deref())?);
    crash::reached("run_script.kept");
    match why {
        None => Ok(Done { artifact }),
        Some(why) => Err(Broke { why, artifact }),
    }
}

pub(super) fn observe(cx: &Context<'_>, step: u16) -> Result<Observed, Broke> {
    let lives = cx.host.groups()?.contains(&group(cx, step));
    Ok(if lives { Observed::Present } else { Observed::Absent })
}

pub(super) fn undo(cx: &Context<'_>, step: u16, script: &LibraryRef) -> Result<Vec<String>, Broke> {
    crash::reached("run_script.undo.begin");
    cx.host.kill_group(&group(cx, step))?;
    crash::reached("run_script.undo.killed");
    if observe(cx, step)? == Observed::Present {
        return Err(Broke::new(format!("{} was killed and still runs", script.name)));
    }
    // No note, or one that cannot be read: cut short by a crash, or removed by the script itself. It may have run.
    let note = cx.host.read_private(&note_path(cx, step), NOTE_BYTES_MAX)?.unwrap_or_default();
    let note: Note = serde_json::from_slice(&note).unwrap_or_default();
    if note.never_ran {
        return Ok(Vec::new());
    }
    let how = note.how.as_deref().unwrap_or("was killed when the agent was interrupted");
    let lasted = match note.lasted_ms {
        Some(ms) => format!("ran for {}.{:03} s", ms / 1000, ms % 1000),
        None => "may have run for a time that is not known".to_owned(),
    };
    Ok(vec![format!("script {} {lasted} and {how}; what it did in that time is not undone", script.name)])
}

/// Writes the script under its own name and says how it is started.
fn spec(cx: &Context<'_>, step: u16, script: &LibraryRef, args: Option<&str>) -> Result<SpawnSpec, Broke> {
    check_file_name(&script.name)?;
    let mut args = split(args)?;
    let file = cx.staging.join(format!("{step}-{}", script.name));
    let copied = cx.host.copy_private(&content(cx, script), &file, SCRIPT_MODE)?;
    check_content(script, &copied.sha256)?;
    let program = match copied.head.starts_with(b"#!") {
        true => file,
        false => {
            args.insert(0, file.to_string_lossy().into_owned());
            PathBuf::from(SHELL)
        }
    };
    let env = [("PATH", PATH), ("HOME", "/root"), ("LANG", "C.UTF-8")];
    Ok(SpawnSpec {
        group: group(cx, step),
        program,
        args,
        env: env.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        cwd: cx.host.make_private_folder(&cx.staging.join(format!("work-{step}")))?,
        stdout_cap_bytes: OUTPUT_BYTES_MAX,
        stderr_cap_bytes: OUTPUT_BYTES_MAX,
        run_limit: SCRIPT_LIMIT,
    })
}

/// Splits arguments as a shell would, and does nothing else that a shell would.
fn split(args: Option<&str>) -> Result<Vec<String>, Broke> {
    let args = args.unwrap_or_default();
    match args.contains('\0') {
        true => Err(Broke::new("the arguments contain a NUL")),
        false => shlex::split(args).ok_or_else(|| Broke::new(format!("the arguments cannot be split: {args:?}"))),
    }
}

/// How it ended, for the residue; and, if it did not come to its own end, why.
fn told(script: &LibraryRef, exit: &Exit) -> (String, Option<String>) {
    match exit.ended {
        Ended::Code(code) => (format!("ended with exit code {code}"), None),
        Ended::Signal(signal) => (format!("was ended by signal {signal}"), None),
        Ended::Stopped => ("was stopped".to_owned(), Some("stopped".to_owned())),
        Ended::TimedOut => {
            let why = format!("{} ran longer than {} s and was stopped", script.name, SCRIPT_LIMIT.as_secs());
            ("was stopped, its time being over".to_owned(), Some(why))
        }
    }
}

fn write_output(
    cx: &Context<'_>,
    step: u16,
    script: &LibraryRef,
    exit: &Exit,
    why: Option<&str>,
) -> Result<Artifact, Broke> {
    let (exit_code, remark) = match exit.ended {
        Ended::Code(code) => (code, None),
        Ended::Signal(signal) => (SIGNAL_BASE + signal, Some(format!("ended by signal {signal}"))),
        Ended::Stopped | Ended::TimedOut => (NO_EXIT_CODE, why.map(str::to_owned)),
    };
    let output = Output {
        script_name: script.name.clone(),
        exit_code,
        script_output: text(&exit.stdout, None),
        script_errors: text(&exit.stderr, remark),
    };
    let bytes = serde_json::to_vec(&output).map_err(|error| Broke::new(format!("cannot write the output: {error}")))?;
    cx.host.write_private(&artifact_path(cx.staging, step), &bytes)?;
    let file_name = format!("{}.json", script.name);
    Ok(Artifact { sha256: Digest::of(&bytes), size_bytes: bytes.len() as u64, file_name })
}

/// What was written, with what is no UTF-8 shown as such, and with our own remarks in lines of their own at the end.
fn text(captured: &Captured, remark: Option<String>) -> String {
    let mut text = String::from_utf8_lossy(&captured.bytes).into_owned();
    let cut = captured.truncated.then(|| format!("cut: only the first {OUTPUT_BYTES_MAX} bytes are kept"));
    for remark in [cut, remark].into_iter().flatten() {
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        text.push_str(&format!("[countermand: {remark}]\n"));
    }
    text
}

fn write_note(cx: &Context<'_>, step: u16, note: &Note) -> Result<(), Broke> {
    let bytes = serde_json::to_vec(note).map_err(|error| Broke::new(format!("cannot write a note: {error}")))?;
    Ok(cx.host.write_private(&note_path(cx, step), &bytes)?)
}

fn note_path(cx: &Context<'_>, step: u16) -> PathBuf {
    cx.staging.join(format!("ran-{step}"))
}

fn group(cx: &Context<'_>, step: u16) -> String {
    format!("{}-{step}", cx.action)
}

//! A machine as its agent's executors see it.

mod files;

use super::ground::{Ground, Place, Side, lock};
use super::job::{self, Log};
use super::library;
use super::machine::{Child, Machine, Site};
use super::sights::Sight;
use agent::crew::Content;
use agent::executors::{ServerProof, StopSignal};
use agent::host::{
    Captured, Collected, Copied, Cut, Ended, Exit, Host, HostError, IsolationPolicy, IsolationTable, PutRecord,
    PutRequest, PutSeen, Running, SpawnSpec,
};
use domain::Kind;
use domain::ids::{ActionId, Digest};
use domain::mutant::{Mutant, is_on};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How long a call takes that proves that the server cannot be reached.
const PROOF_FAILS_AFTER: Duration = Duration::from_secs(5);

/// A machine's functions, for one task of an agent, or for its start.
#[derive(Clone)]
pub(super) struct SimHost {
    site: Site,
    ground: Arc<Ground>,
    /// None: at the agent's start, where nothing gives way.
    log: Option<Arc<Mutex<Log>>>,
    /// The action whose step is being carried out; none for everything but that.
    runs: Option<(ActionId, Kind)>,
}

/// Why a call failed, in a form that can be kept.
#[derive(Clone, Debug)]
pub enum Trouble {
    /// The operating system refused.
    Io(&'static str),
    /// Nothing was started.
    NotStarted,
    /// Processes outlive being killed.
    StillAlive(String),
    /// Asked for what must not be done.
    Refused(String),
}

/// What a call answers.
pub(super) type Answer<T> = Result<T, Trouble>;

impl From<Trouble> for HostError {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Io(what) => Self::Io { what: what.into(), source: std::io::Error::other("injected") },
            Trouble::NotStarted => Self::NotStarted("injected".into()),
            Trouble::StillAlive(group) => Self::StillAlive { group, waited: agent::host::KILL_LIMIT },
            Trouble::Refused(what) => Self::Refused(what),
        }
    }
}

impl SimHost {
    /// For a task.
    pub(super) fn of_a_job(
        site: Site,
        ground: Arc<Ground>,
        log: Arc<Mutex<Log>>,
        runs: Option<(ActionId, Kind)>,
    ) -> Self {
        Self { site, ground, log: Some(log), runs }
    }

    /// For an agent's start.
    pub(super) fn at_boot(site: Site, ground: Arc<Ground>) -> Self {
        Self { site, ground, log: None, runs: None }
    }

    /// A call that gives way first, and may fail.
    fn call<T>(&self, name: &'static str, act: impl FnOnce(&mut Machine, &Ground) -> Answer<T>) -> Result<T, HostError>
    where
        T: Clone + Send + 'static,
    {
        let Some(log) = &self.log else {
            super::disk::passes(&self.site);
            return Ok(self.perform(name, act)?);
        };
        if let Some(answer) = job::answered::<Answer<T>>(log, name) {
            return Ok(answer?);
        }
        job::turn(log);
        let answer = self.perform(name, act);
        job::made(log, name, &answer, false);
        Ok(answer?)
    }

    fn perform<T>(&self, name: &'static str, act: impl FnOnce(&mut Machine, &Ground) -> Answer<T>) -> Answer<T> {
        let number = lock(&self.site).index + 1;
        self.ground.note(|| format!("m{number}: {name}"));
        let fails = self.ground.fails(Place::Host, name);
        if fails == Some(Side::Before) {
            return Err(if name == "spawn" { Trouble::NotStarted } else { Trouble::Io(name) });
        }
        let answer = act(&mut lock(&self.site), &self.ground);
        match fails {
            Some(_) if name == "kill_group" => Err(Trouble::StillAlive("injected".into())),
            Some(_) => Err(Trouble::Io(name)),
            None => answer,
        }
    }

    /// A look that neither gives way nor fails.
    fn look<T: Clone + Send + 'static>(&self, name: &'static str, look: impl FnOnce(&Machine) -> T) -> T {
        let Some(log) = &self.log else { return look(&lock(&self.site)) };
        if let Some(answer) = job::answered::<T>(log, name) {
            return answer;
        }
        let answer = look(&lock(&self.site));
        job::made(log, name, &answer, true);
        answer
    }

    fn is_stopped(&self) -> bool {
        self.log.as_ref().is_some_and(|log| lock(log).is_stopped())
    }

    /// The step that is carried out, if this is the effect of one.
    fn begins(&self, machine: &Machine, step: u16) {
        if let Some((action, _)) = self.runs {
            self.ground.judge().began(machine, action, step);
        }
    }
}

impl Host for SimHost {
    fn boot_id(&self) -> Result<String, HostError> {
        Ok(self.look("boot_id", |machine| format!("boot-{}", machine.boots)))
    }

    fn uptime(&self) -> Duration {
        self.look("uptime", |machine| machine.uptime)
    }

    fn pause(&self, length: Duration, _stop: &StopSignal) -> bool {
        let stopped = self.is_stopped();
        let paused = self.call("pause", |machine, _| {
            machine.uptime += if stopped { Duration::ZERO } else { length };
            Ok(stopped)
        });
        paused.unwrap_or(stopped)
    }

    fn isolation(&self) -> Result<Option<IsolationTable>, HostError> {
        self.call("isolation", |machine, _| Ok(machine.isolation.clone()))
    }

    fn isolate(&self, policy: &IsolationPolicy) -> Result<(), HostError> {
        self.call("isolate", |machine, _| {
            self.begins(machine, 0);
            let text = format!("table {}", policy.mark);
            machine.isolation = Some(IsolationTable { mark: policy.mark.clone(), text });
            machine.lifted_by = None;
            Ok(())
        })
    }

    fn restore_isolation(&self, text: &str) -> Result<(), HostError> {
        self.call("restore_isolation", |machine, _| {
            let mark = text.trim_start_matches("table ").to_owned();
            machine.isolation = Some(IsolationTable { mark, text: text.to_owned() });
            machine.lifted_by = None;
            Ok(())
        })
    }

    fn lift_isolation(&self) -> Result<(), HostError> {
        self.call("lift_isolation", |machine, _| {
            let releases = self.runs.filter(|(_, kind)| *kind == Kind::Release);
            if releases.is_some() {
                self.begins(machine, 0);
            }
            if machine.isolation.take().is_some() {
                machine.lifted_by = releases.map(|(action, _)| action);
            }
            Ok(())
        })
    }

    fn cut_connections(&self, _keep: &[SocketAddr]) -> Result<Cut, HostError> {
        self.call("cut_connections", |_, _| Ok(Cut { closed: 1, left: 0 }))
    }

    fn spawn(&self, spec: &SpawnSpec) -> Result<Box<dyn Running>, HostError> {
        let group = self.call("spawn", |machine, ground| {
            if machine.children.contains_key(&spec.group) {
                return Err(Trouble::Refused(format!("group {} exists", spec.group)));
            }
            let step = spec.group.rsplit('-').next().and_then(|step| step.parse().ok()).unwrap_or_default();
            self.begins(machine, step);
            if let Some((action, _)) = self.runs {
                ground.judge().script_ran(action);
            }
            let child = Child { process: machine.processes, acts: 0, ended: None, since: machine.uptime };
            machine.children.insert(spec.group.clone(), child);
            Ok(spec.group.clone())
        })?;
        Ok(Box::new(SimRunning { host: self.clone(), group, limit: spec.run_limit }))
    }

    fn kill_group(&self, group: &str) -> Result<(), HostError> {
        self.call("kill_group", |machine, ground| {
            let orphan = machine.children.get(group).is_some_and(|child| child.process != machine.processes);
            if orphan && is_on(Mutant::OrphanNotKilled) {
                return Ok(());
            }
            if orphan {
                ground.judge().sights.see(Sight::OrphanSwept);
            }
            machine.children.remove(group);
            Ok(())
        })
    }

    fn groups(&self) -> Result<Vec<String>, HostError> {
        self.call("groups", |machine, _| {
            let blind = is_on(Mutant::OrphanNotKilled);
            let seen = machine.children.iter().filter(|(_, child)| !blind || child.process == machine.processes);
            Ok(seen.map(|(group, _)| group.clone()).collect())
        })
    }

    fn downloads(&self) -> PathBuf {
        PathBuf::from("/downloads")
    }

    fn plan_put(&self, request: &PutRequest<'_>) -> Result<PutRecord, HostError> {
        self.call("plan_put", |machine, _| files::plan_put(machine, request))
    }

    fn put(&self, record: &PutRecord, source: &Path) -> Result<(), HostError> {
        self.call("put", |machine, _| {
            let by = self.runs.map(|(action, _)| action).zip(files::step_of(record));
            if let Some((_, step)) = by {
                self.begins(machine, step);
            }
            files::put(machine, record, source, by)
        })
    }

    fn observe_put(&self, record: &PutRecord) -> Result<PutSeen, HostError> {
        self.call("observe_put", |machine, _| Ok(files::observe_put(machine, record)))
    }

    fn undo_put(&self, record: &PutRecord) -> Result<Option<String>, HostError> {
        self.call("undo_put", |machine, _| Ok(files::undo_put(machine, record)))
    }

    fn collect(&self, path: &Path, _: u64, out: &Path, _: &StopSignal) -> Result<Collected, HostError> {
        self.call("collect", |machine, _| {
            let bytes = path.to_string_lossy().into_owned().into_bytes();
            let size = bytes.len() as u64;
            let gz_sha256 = Digest::of(&bytes).to_string();
            machine.private.insert(out.to_owned(), bytes);
            Ok(Collected { read_bytes: size, gz_bytes: size, gz_sha256 })
        })
    }

    fn copy_private(&self, source: &Path, to: &Path, _: u32) -> Result<Copied, HostError> {
        self.call("copy_private", |machine, _| {
            let Some(bytes) = machine.private.get(source).cloned() else { return Err(Trouble::Io("no such file")) };
            let copied = Copied { sha256: library::digest(&bytes).to_string(), head: bytes.clone() };
            machine.private.insert(to.to_owned(), bytes);
            Ok(copied)
        })
    }

    fn make_private_folder(&self, path: &Path) -> Result<PathBuf, HostError> {
        self.call("make_private_folder", |machine, _| {
            machine.folders.insert(path.to_owned());
            Ok(path.to_owned())
        })
    }

    fn remove_private_folder(&self, path: &Path) -> Result<(), HostError> {
        self.call("remove_private_folder", |machine, _| {
            machine.folders.retain(|folder| !folder.starts_with(path));
            machine.private.retain(|file, _| !file.starts_with(path));
            Ok(())
        })
    }

    fn private_folders(&self, path: &Path) -> Result<Vec<String>, HostError> {
        self.call("private_folders", |machine, _| {
            let below = machine.folders.iter().filter(|folder| folder.parent() == Some(path));
            Ok(below.filter_map(|folder| Some(folder.file_name()?.to_str()?.to_owned())).collect())
        })
    }

    fn write_private(&self, to: &Path, bytes: &[u8]) -> Result<(), HostError> {
        self.call("write_private", |machine, _| {
            machine.private.insert(to.to_owned(), bytes.to_vec());
            Ok(())
        })
    }

    fn read_private(&self, path: &Path, _: u64) -> Result<Option<Vec<u8>>, HostError> {
        self.call("read_private", |machine, _| Ok(machine.private.get(path).cloned()))
    }

    fn remove_private(&self, path: &Path) -> Result<(), HostError> {
        self.call("remove_private", |machine, _| {
            machine.private.remove(path);
            Ok(())
        })
    }
}

/// A script that was started.
struct SimRunning {
    host: SimHost,
    group: String,
    limit: Duration,
}

impl Running for SimRunning {
    fn wait(self: Box<Self>, _stop: &StopSignal) -> Result<Exit, HostError> {
        let Self { host, group, limit } = *self;
        let answer = match &host.log {
            Some(log) => match job::answered::<Answer<(Ended, Duration)>>(log, "wait") {
                Some(answer) => answer,
                None => {
                    job::turn(log);
                    if !has_ended(&lock(&host.site), &group, limit) && !host.is_stopped() {
                        job::wait_for(log, &group);
                    }
                    let stopped = host.is_stopped();
                    let answer = host.perform("wait", |machine, _| Ok(end(machine, &group, stopped)));
                    job::made(log, "wait", &answer, false);
                    answer
                }
            },
            None => Err(Trouble::Refused("nothing is started at boot".into())),
        };
        let (ended, lasted) = answer?;
        Ok(Exit { ended, stdout: Captured::default(), stderr: Captured::default(), lasted })
    }
}

fn has_ended(machine: &Machine, group: &str, limit: Duration) -> bool {
    let over = |child: &Child| child.ended.is_some() || machine.uptime.saturating_sub(child.since) > limit;
    machine.children.get(group).is_none_or(over)
}

/// The end of a group: all of it is gone.
fn end(machine: &mut Machine, group: &str, stopped: bool) -> (Ended, Duration) {
    let child = machine.children.remove(group);
    let lasted = child.as_ref().map_or(Duration::ZERO, |child| machine.uptime.saturating_sub(child.since));
    match child.and_then(|child| child.ended) {
        Some(code) => (Ended::Code(code), lasted),
        None if stopped => (Ended::Stopped, lasted),
        None => (Ended::TimedOut, lasted),
    }
}

impl Content for SimHost {
    fn fetch(&self, sha256: &Digest, to: &Path, _: Duration, _: &dyn Fn() -> bool) -> Result<(), String> {
        let stopped = self.is_stopped();
        let fetched = self.call("fetch", |machine, _| {
            let content = library::content(sha256).filter(|_| machine.reaches_server() && !stopped);
            let Some(content) = content else { return Err(Trouble::Io("cannot be fetched")) };
            machine.private.insert(to.to_owned(), content.to_vec());
            Ok(())
        });
        fetched.map_err(|error| error.to_string())
    }
}

impl ServerProof for SimHost {
    fn prove(&self, limit: Duration, _: &StopSignal) -> Result<(), String> {
        let stopped = self.is_stopped();
        let proved = self.call("prove", |machine, ground| {
            if machine.reaches_server() && !stopped {
                return Ok(());
            }
            machine.uptime += limit.min(PROOF_FAILS_AFTER);
            if machine.is_deaf_when_isolated {
                ground.judge().sights.see(Sight::ProofFailed);
            }
            Err(Trouble::Io("the server cannot be reached"))
        });
        proved.map_err(|error| error.to_string())
    }
}

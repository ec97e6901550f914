//! What a closed stage left behind: nothing, or the names of it.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;

use super::cgroups;

/// What remained of a stage after it was closed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Leftovers {
    /// Process id and command line of each process that is still in the stage's PID namespace.
    pub processes: Vec<String>,
    /// Network devices on the host that are named like those of a stage and were not there before.
    pub interfaces: Vec<String>,
    /// Control groups that were to be removed.
    pub cgroups: Vec<PathBuf>,
    /// What init said if it could not end well.
    pub trouble: Option<String>,
}

impl Leftovers {
    /// Whether nothing remained.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for Leftovers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("nothing was left behind");
        }
        let cgroups: Vec<_> = self.cgroups.iter().map(|path| path.display().to_string()).collect();
        let parts = [("processes", &self.processes), ("interfaces", &self.interfaces), ("cgroups", &cgroups)];
        f.write_str("left behind:")?;
        for (what, names) in parts.iter().filter(|(_, names)| !names.is_empty()) {
            write!(f, " {what} {};", names.join(", "))?;
        }
        match &self.trouble {
            Some(trouble) => write!(f, " its init said: {trouble}"),
            None => Ok(()),
        }
    }
}

/// By what the leavings of one stage are known.
#[derive(Default)]
pub(super) struct Traces {
    /// The PID namespace, as the kernel names it: `pid:[4026531836]`.
    pid_namespace: Option<PathBuf>,
    interfaces_before: BTreeSet<String>,
    cgroups: Vec<PathBuf>,
}

impl Traces {
    /// Looks at the host before the stage is opened.
    pub(super) fn before(cgroup_names: &[String]) -> anyhow::Result<Self> {
        Ok(Self { pid_namespace: None, interfaces_before: interfaces()?, cgroups: cgroups::folders(cgroup_names)? })
    }

    /// Notes the namespace that the children of the stage's first process live in.
    pub(super) fn remember(&mut self, birth: u32) -> anyhow::Result<()> {
        let link = format!("/proc/{birth}/ns/pid_for_children");
        self.pid_namespace = Some(fs::read_link(&link).with_context(|| format!("reading {link}"))?);
        Ok(())
    }

    /// Looks until nothing is left, for at most [`LOOK_TIME_MAX`]: the kernel clears a network
    /// namespace a moment after its last process.
    pub(super) fn look(&self, trouble: Option<String>) -> anyhow::Result<Leftovers> {
        // Init has done this, unless it was killed itself.
        for folder in self.cgroups.iter().filter(|folder| folder.exists()) {
            // One that resists is still there when looked for below.
            let _ = cgroups::remove(folder);
        }
        let deadline = Instant::now() + LOOK_TIME_MAX;
        loop {
            let left = Leftovers {
                processes: self.processes()?,
                interfaces: self.interfaces()?,
                cgroups: self.cgroups.iter().filter(|path| path.exists()).cloned().collect(),
                trouble: trouble.clone(),
            };
            let is_gone = Leftovers { trouble: None, ..left.clone() }.is_empty();
            if is_gone || Instant::now() >= deadline {
                return Ok(left);
            }
            thread::sleep(LOOK_INTERVAL);
        }
    }

    fn processes(&self) -> anyhow::Result<Vec<String>> {
        let Some(namespace) = &self.pid_namespace else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc").context("reading /proc")? {
            let path = entry?.path();
            // Other files, processes of other users, and processes that have just ended.
            let Ok(link) = fs::read_link(path.join("ns/pid")) else { continue };
            if link == *namespace {
                found.push(described(&path));
            }
        }
        Ok(found)
    }

    fn interfaces(&self) -> anyhow::Result<Vec<String>> {
        let is_ours = |name: &String| name == "hub0" || name.starts_with("cable");
        Ok(interfaces()?.difference(&self.interfaces_before).filter(|name| is_ours(name)).cloned().collect())
    }
}

fn interfaces() -> anyhow::Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for entry in fs::read_dir("/sys/class/net").context("reading /sys/class/net")? {
        names.insert(entry?.file_name().to_string_lossy().into_owned());
    }
    Ok(names)
}

fn described(process: &Path) -> String {
    let id = process.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let line = fs::read(process.join("cmdline")).unwrap_or_default();
    let words: Vec<_> = line.split(|&byte| byte == 0).map(String::from_utf8_lossy).collect();
    format!("{id} ({})", words.join(" ").trim_end())
}

/// How long the kernel may take to clear up.
const LOOK_TIME_MAX: Duration = Duration::from_secs(5);

const LOOK_INTERVAL: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use super::Leftovers;

    #[test]
    fn what_remained_is_named() {
        assert_eq!(Leftovers::default().to_string(), "nothing was left behind");
        let left = Leftovers { processes: vec!["7 (sh)".to_owned()], ..Leftovers::default() };
        assert_eq!(left.to_string(), "left behind: processes 7 (sh);");
    }
}

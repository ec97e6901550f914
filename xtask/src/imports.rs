//! `cargo xtask imports`: who may import what.
//!
//! Two tables: edges between crates, compared with `cargo metadata`, and rules for modules inside
//! a crate, read from the source text. A folder that a rule names and that does not exist yet
//! breaks nothing.

use std::path::Path;

use anyhow::bail;

use crate::source::{is_below, paths};
use crate::workspace::{self, Member, TextFile};

pub(crate) fn run(args: &[String]) -> anyhow::Result<()> {
    if !args.is_empty() {
        bail!("usage: cargo xtask imports");
    }
    check(&workspace::root()?)
}

/// Fails with one line for each import that a rule forbids.
pub(crate) fn check(root: &Path) -> anyhow::Result<()> {
    let members = workspace::members(root)?;
    let mut breaches = crate_breaches(&members);
    breaches.extend(module_breaches(&workspace::text_files(root)?));
    if breaches.is_empty() {
        return Ok(());
    }
    bail!("{} forbidden imports:\n  {}", breaches.len(), breaches.join("\n  "))
}

/// What one crate may declare in its Cargo.toml.
struct CrateRule {
    name: &'static str,
    /// Crates of this workspace it may depend on.
    ours: &'static [&'static str],
    /// Further crates of this workspace that its tests may depend on.
    ours_in_tests: &'static [&'static str],
    others: Others,
}

/// Which crates from outside the workspace.
enum Others {
    /// These and no more. Not held against tests.
    Only(&'static [&'static str]),
    /// Anything but these. Held against tests too.
    AnyBut(&'static [&'static str]),
}

const CRATES: [CrateRule; 10] = [
    CrateRule { name: "domain", ours: &[], ours_in_tests: &[], others: Others::Only(&["serde", "sha2", "uuid"]) },
    CrateRule {
        name: "protocol",
        ours: &["domain"],
        ours_in_tests: &[],
        others: Others::AnyBut(&["tokio", "axum", "hyper", "reqwest", "rusqlite", "tokio-postgres"]),
    },
    CrateRule {
        name: "store",
        ours: &["domain"],
        ours_in_tests: &[],
        others: Others::AnyBut(&["axum", "hyper", "reqwest"]),
    },
    CrateRule {
        name: "server",
        ours: &["domain", "protocol", "store"],
        ours_in_tests: &["agent"],
        others: Others::AnyBut(&["rusqlite", "tokio-postgres"]),
    },
    CrateRule {
        name: "agent",
        ours: &["domain", "protocol"],
        ours_in_tests: &[],
        others: Others::AnyBut(&["axum", "rusqlite", "tokio-postgres"]),
    },
    CrateRule {
        name: "cli",
        ours: &["agent", "protocol", "server"],
        ours_in_tests: &[],
        others: Others::AnyBut(&["rusqlite", "tokio-postgres"]),
    },
    CrateRule {
        name: "sim",
        ours: &["domain", "protocol", "store", "server", "agent"],
        ours_in_tests: &[],
        others: Others::AnyBut(&[]),
    },
    CrateRule {
        name: "hostile",
        ours: &["domain", "protocol", "store", "server", "agent"],
        ours_in_tests: &[],
        others: Others::AnyBut(&[]),
    },
    CrateRule { name: "bench", ours: &["cli", "protocol"], ours_in_tests: &[], others: Others::AnyBut(&[]) },
    CrateRule { name: "xtask", ours: &[], ours_in_tests: &[], others: Others::Only(&["anyhow", "serde_json"]) },
];

/// What the modules of one part of a crate may not name.
struct ModuleRule {
    /// The crate's source folder.
    sources: &'static str,
    /// Modules held by the rule, by their first path segments below the crate's root. An entry
    /// ending in `/*` means each module in that folder.
    modules: &'static [&'static str],
    /// Modules that the entries above would include but that are free.
    free: &'static [&'static str],
    /// Paths that may not be named: `crate::x` inside the crate, `x` for another crate.
    forbidden: &'static [&'static str],
    /// Paths that stay allowed below the forbidden ones.
    allowed: &'static [&'static str],
    /// The way it should be done instead.
    instead: &'static str,
}

const MODULES: [ModuleRule; 8] = [
    ModuleRule {
        sources: "crates/server/src",
        modules: &["api", "agent_link", "console"],
        free: &[],
        forbidden: &["store", "rusqlite", "tokio_postgres", "refinery"],
        allowed: &[],
        instead: "ask crate::actions, the only door to the store",
    },
    ModuleRule {
        sources: "crates/server/src",
        modules: &["actions", "sweep"],
        free: &[],
        forbidden: &["axum", "protocol::defender", "crate::api", "crate::console"],
        allowed: &[],
        instead: "return a value or a refusal; api turns it into HTTP",
    },
    ModuleRule {
        sources: "crates/agent/src",
        modules: &["link"],
        free: &[],
        forbidden: &["crate::executors", "crate::host"],
        allowed: &[],
        instead: "pass messages to and from the worker; it owns running actions",
    },
    ModuleRule {
        sources: "crates/agent/src",
        modules: &["worker"],
        free: &[],
        forbidden: &["crate::link", "crate::host"],
        allowed: &[],
        instead: "let the link reach the worker through its queue, the machine through executors",
    },
    ModuleRule {
        sources: "crates/agent/src",
        modules: &["executors"],
        free: &[],
        forbidden: &["crate::link", "crate::journal", "crate::worker"],
        allowed: &[],
        instead: "return what is to be journalled; the worker writes it",
    },
    ModuleRule {
        sources: "crates/agent/src",
        modules: &["host"],
        free: &[],
        forbidden: &["crate", "domain", "protocol"],
        allowed: &["crate::host"],
        instead: "let host know the operating system only; executors translate",
    },
    ModuleRule {
        sources: "crates/cli/src",
        modules: &["commands/*"],
        free: &["serve", "agent", "app", "audit", "enrol_token", "token_key", "demo"],
        forbidden: &["server", "store", "agent", "protocol", "domain"],
        allowed: &["protocol::defender"],
        instead: "speak the public API through protocol::defender, like any other client",
    },
    ModuleRule {
        sources: "crates/store/src",
        modules: &["sqlite", "postgres", "sql"],
        free: &[],
        forbidden: &["axum", "protocol"],
        allowed: &[],
        instead: "speak the domain's words",
    },
];

fn crate_breaches(members: &[Member]) -> Vec<String> {
    let is_ours = |name: &str| members.iter().any(|member| member.name == name);
    let mut breaches = Vec::new();
    for member in members {
        let name = &member.name;
        let Some(rule) = CRATES.iter().find(|rule| rule.name == name) else {
            breaches.push(format!("crate {name} is in no rule: add a row to CRATES in xtask/src/imports.rs"));
            continue;
        };
        let all = member.uses.iter().map(|used| (used, false));
        let all = all.chain(member.uses_in_tests.iter().map(|used| (used, true)));
        for (used, in_tests) in all {
            let used = used.as_str();
            let allowed = if is_ours(used) {
                rule.ours.contains(&used) || (in_tests && rule.ours_in_tests.contains(&used))
            } else {
                match rule.others {
                    Others::Only(only) => in_tests || only.contains(&used),
                    Others::AnyBut(but) => !but.contains(&used),
                }
            };
            if !allowed {
                breaches.push(format!("{}/Cargo.toml: {name} may not depend on {used}", member.folder));
            }
        }
    }
    breaches
}

fn module_breaches(files: &[TextFile]) -> Vec<String> {
    let mut breaches = Vec::new();
    for rule in &MODULES {
        for file in files {
            let Some(module) = module_of(&file.path, rule.sources) else { continue };
            if !is_held(rule, &module) {
                continue;
            }
            for path in paths(&file.text, &module) {
                if is_forbidden(rule, &path) {
                    breaches.push(format!("{}: may not name {path}; {}", file.path, rule.instead));
                }
            }
        }
    }
    breaches.extend(siblings_breaches(files));
    breaches
}

/// An executor that names another one would make two kinds of action one.
fn siblings_breaches(files: &[TextFile]) -> Vec<String> {
    const SOURCES: &str = "crates/agent/src";
    let executors: Vec<(&TextFile, Vec<String>)> = files
        .iter()
        .filter_map(|file| Some((file, module_of(&file.path, SOURCES)?)))
        .filter(|(_, module)| module.len() >= 2 && module[0] == "executors")
        .collect();
    let mut breaches = Vec::new();
    for (file, module) in &executors {
        for path in paths(&file.text, module) {
            let parts: Vec<&str> = path.split("::").collect();
            let ["crate", "executors", other, ..] = parts[..] else { continue };
            let is_executor = executors.iter().any(|(_, module)| module[1] == other);
            if is_executor && other != module[1] {
                breaches.push(format!(
                    "{}: may not name {path}; what two executors share belongs in host or domain",
                    file.path
                ));
            }
        }
    }
    breaches
}

/// `crates/agent/src/executors/scan.rs` is `["executors", "scan"]`; `mod.rs` is its folder.
fn module_of(path: &str, sources: &str) -> Option<Vec<String>> {
    let inside = path.strip_prefix(sources)?.strip_prefix('/')?.strip_suffix(".rs")?;
    let mut module: Vec<String> = inside.split('/').map(str::to_owned).collect();
    if matches!(module.last().map(String::as_str), Some("mod" | "lib" | "main")) {
        module.pop();
    }
    Some(module)
}

fn is_held(rule: &ModuleRule, module: &[String]) -> bool {
    rule.modules.iter().any(|entry| match entry.strip_suffix("/*") {
        None => module.first().is_some_and(|first| first == entry),
        Some(folder) => match module {
            [first, second, ..] => first == folder && !rule.free.contains(&second.as_str()),
            _ => false,
        },
    })
}

fn is_forbidden(rule: &ModuleRule, path: &str) -> bool {
    let below = |prefixes: &[&str]| prefixes.iter().any(|prefix| is_below(path, prefix));
    below(rule.forbidden) && !below(rule.allowed)
}

#[cfg(test)]
mod tests {
    use super::{crate_breaches, module_breaches};
    use crate::workspace::{Member, TextFile};

    fn breaches(path: &str, text: &str) -> usize {
        breaches_of(&[(path, text)])
    }

    fn breaches_of(files: &[(&str, &str)]) -> usize {
        let files: Vec<TextFile> =
            files.iter().map(|&(path, text)| TextFile { path: path.to_owned(), text: text.to_owned() }).collect();
        module_breaches(&files).len()
    }

    fn member(name: &str, uses: &[&str], uses_in_tests: &[&str]) -> Member {
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        Member {
            name: name.to_owned(),
            folder: format!("crates/{name}"),
            uses: owned(uses),
            uses_in_tests: owned(uses_in_tests),
        }
    }

    #[test]
    fn domain_may_use_only_three_crates_but_any_in_tests() {
        let good = member("domain", &["serde", "sha2", "uuid"], &["proptest"]);
        assert_eq!(crate_breaches(&[good]).len(), 0);
        let bad = member("domain", &["tokio", "jiff"], &[]);
        assert_eq!(crate_breaches(&[bad]).len(), 2);
    }

    #[test]
    fn an_edge_that_is_not_in_the_table_is_a_breach() {
        let store = member("store", &["domain", "protocol"], &[]);
        let members = [store, member("domain", &[], &[]), member("protocol", &["domain"], &[])];
        assert_eq!(crate_breaches(&members).len(), 1);
        let server = member("server", &[], &["agent"]);
        assert_eq!(crate_breaches(&[server, member("agent", &[], &[])]).len(), 0);
    }

    #[test]
    fn a_crate_without_a_rule_is_a_breach() {
        assert_eq!(crate_breaches(&[member("extras", &[], &[])]).len(), 1);
    }

    #[test]
    fn handlers_may_not_name_the_store() {
        assert_eq!(breaches("crates/server/src/api/isolate.rs", "use store::Store;"), 1);
        assert_eq!(breaches("crates/server/src/agent_link/mod.rs", "fn f() { rusqlite::x() }"), 1);
        assert_eq!(breaches("crates/server/src/api/isolate.rs", "use crate::actions::Actions;"), 0);
        assert_eq!(breaches("crates/server/src/actions.rs", "use store::Store;"), 0);
    }

    #[test]
    fn use_cases_may_not_name_http() {
        assert_eq!(breaches("crates/server/src/actions.rs", "use axum::Json;"), 1);
        assert_eq!(breaches("crates/server/src/actions/grant.rs", "use protocol::defender::A;"), 1);
        assert_eq!(breaches("crates/server/src/sweep.rs", "use protocol::{defender, agent};"), 1);
        assert_eq!(breaches("crates/server/src/sweep.rs", "use protocol::agent::Offer;"), 0);
    }

    #[test]
    fn link_and_worker_do_not_know_each_other_or_the_machine() {
        let link = "crates/agent/src/link.rs";
        assert_eq!(breaches(link, "use crate::{executors::Isolate, host};"), 2);
        assert_eq!(breaches(link, "use super::host::nft;"), 1);
        assert_eq!(breaches("crates/agent/src/link/dial.rs", "use crate::host;"), 1);
        assert_eq!(breaches("crates/agent/src/worker.rs", "use crate::link::Link; use crate::host;"), 2);
        assert_eq!(breaches("crates/agent/src/worker.rs", "use crate::{journal, executors};"), 0);
    }

    #[test]
    fn executors_do_not_know_each_other() {
        let scan = ("crates/agent/src/executors/scan.rs", "use super::isolate::X;");
        let isolate = ("crates/agent/src/executors/isolate.rs", "use super::Executor;");
        let list = ("crates/agent/src/executors/mod.rs", "use self::{scan::Scan, isolate::Isolate};");
        assert_eq!(breaches_of(&[scan, isolate, list]), 1);
        assert_eq!(breaches("crates/agent/src/executors/scan.rs", "use crate::journal;"), 1);
    }

    #[test]
    fn host_knows_nothing_of_ours() {
        let host = "crates/agent/src/host/nftables.rs";
        assert_eq!(breaches(host, "use domain::kind::Kind; use crate::executors;"), 2);
        assert_eq!(breaches(host, "use super::files; use crate::host::cgroups; use std::fs;"), 0);
    }

    #[test]
    fn client_commands_speak_the_public_api_only() {
        let cancel = "crates/cli/src/commands/cancel.rs";
        assert_eq!(breaches(cancel, "use server::Actions; use protocol::agent::Offer;"), 2);
        assert_eq!(breaches(cancel, "use protocol::defender::MachineAction;"), 0);
        assert_eq!(breaches("crates/cli/src/commands/serve.rs", "use server::Actions;"), 0);
        assert_eq!(breaches("crates/cli/src/stage/mod.rs", "use server::Actions;"), 0);
    }
}

//! Looking at a machine from outside: not through the agent, and not at what it remembers.

use anyhow::Context as _;
use cli::fleet::Fleet;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// What of a machine an action may change and must put back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Machine {
    /// Our packet filter table, as the kernel tells it; none if there is none.
    pub(super) table: Option<String>,
    /// The downloads folder: by name, the inode and the content.
    pub(super) downloads: BTreeMap<String, (u64, Vec<u8>)>,
}

impl Machine {
    /// Looks.
    pub(super) fn look(fleet: &Fleet, name: &str) -> anyhow::Result<Self> {
        Ok(Self { table: table(fleet, name)?, downloads: downloads(&fleet.state_dir(name))? })
    }

    /// What is different from `before`, in words.
    pub(super) fn differences(&self, before: &Self) -> Vec<String> {
        let mut found = Vec::new();
        if self.table != before.table {
            found.push(format!("the isolation table is {}, was {}", short(&self.table), short(&before.table)));
        }
        for (name, file) in &self.downloads {
            match before.downloads.get(name) {
                None => found.push(format!("downloads: {name} is there and was not")),
                Some(earlier) if earlier != file => {
                    found.push(format!("downloads: {name} is another file than before"))
                }
                Some(_) => {}
            }
        }
        let gone = before.downloads.keys().filter(|name| !self.downloads.contains_key(*name));
        found.extend(gone.map(|name| format!("downloads: {name} is gone")));
        found
    }

    /// Whether the table carries this action's mark.
    pub(super) fn isolated_by(&self, action: &str) -> bool {
        self.table.as_ref().is_some_and(|text| text.contains(&format!("comment \"{action}\"")))
    }
}

/// Processes anywhere on this computer whose arguments or environment carry one of the words, and control groups of
/// agents that are named after the action.
pub(super) fn lives(action: &str, marker: &str) -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").context("reading /proc")? {
        let path = entry?.path();
        // Not a process, or one that has just ended.
        let Ok(line) = fs::read(path.join("cmdline")) else { continue };
        let environ = fs::read(path.join("environ")).unwrap_or_default();
        let carries = |word: &str| holds(&line, word.as_bytes()) || holds(&environ, word.as_bytes());
        if carries(action) || carries(marker) {
            let words: Vec<_> = line.split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
            found.push(format!("process {} ({})", path.display(), words.join(" ").trim_end()));
        }
    }
    if let Some(folder) = cli::stage::cgroup_folder("countermand")? {
        let slices = fs::read_dir(folder).into_iter().flatten().flatten();
        let leaves = slices.flat_map(|slice| fs::read_dir(slice.path()).into_iter().flatten().flatten());
        let ours = leaves.filter(|leaf| leaf.file_name().to_string_lossy().starts_with(action));
        found.extend(ours.map(|leaf| format!("control group {}", leaf.path().display())));
    }
    Ok(found)
}

fn table(fleet: &Fleet, name: &str) -> anyhow::Result<Option<String>> {
    let tables = fleet.look(name, &["nft", "list", "tables", "inet"])?;
    anyhow::ensure!(tables.success(), "nft: {}", tables.stderr.trim());
    if !tables.stdout.lines().any(|line| line.trim() == "table inet countermand") {
        return Ok(None);
    }
    let listed = fleet.look(name, &["nft", "--stateless", "list", "table", "inet", "countermand"])?;
    anyhow::ensure!(listed.success(), "nft: {}", listed.stderr.trim());
    Ok(Some(listed.stdout))
}

fn downloads(state_dir: &Path) -> anyhow::Result<BTreeMap<String, (u64, Vec<u8>)>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(state_dir.join("downloads")).into_iter().flatten() {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        files.insert(name, (entry.metadata()?.ino(), fs::read(entry.path())?));
    }
    Ok(files)
}

fn holds(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|window| window == word)
}

/// The mark of a table, which tells whose it is.
fn short(table: &Option<String>) -> String {
    let Some(text) = table else { return "absent".into() };
    let mark = text.lines().find_map(|line| line.trim().strip_prefix("comment "));
    format!("present ({}, {} bytes)", mark.unwrap_or("no mark"), text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_told_by_file_and_table() {
        let file = |inode, content: &[u8]| (inode, content.to_vec());
        let before = Machine { table: None, downloads: [("a".to_string(), file(1, b"x"))].into() };
        assert!(before.differences(&before.clone()).is_empty());
        let after = Machine {
            table: Some("table inet countermand {\n comment \"id-1\"\n}".into()),
            downloads: [("b".to_string(), file(2, b"y"))].into(),
        };
        assert_eq!(after.differences(&before).len(), 3);
        assert!(after.isolated_by("id-1") && !after.isolated_by("id-2") && !before.isolated_by("id-1"));
    }
}

//! What the workspace consists of: its root, its crates as cargo sees them, its text files.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};
use serde_json::Value;

use crate::program;

/// The folder that holds the workspace's Cargo.toml.
pub(crate) fn root() -> anyhow::Result<PathBuf> {
    // cargo sets this for `cargo run`; the built-in value serves a binary started by hand.
    let manifest =
        std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    manifest.parent().map(Path::to_path_buf).with_context(|| format!("{} has no parent folder", manifest.display()))
}

/// One member crate and what it declares to depend on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    /// The package's name.
    pub(crate) name: String,
    /// Where it is, relative to the workspace root, with `/`.
    pub(crate) folder: String,
    /// Names in `[dependencies]` and `[build-dependencies]`.
    pub(crate) uses: Vec<String>,
    /// Names in `[dev-dependencies]`.
    pub(crate) uses_in_tests: Vec<String>,
}

/// The member crates, from `cargo metadata`.
pub(crate) fn members(root: &Path) -> anyhow::Result<Vec<Member>> {
    let text = program::output(
        program::cargo().args(["metadata", "--locked", "--no-deps", "--format-version", "1"]).current_dir(root),
    )?;
    let metadata: Value = serde_json::from_str(&text).context("cargo metadata is not JSON")?;
    let packages = metadata["packages"].as_array().context("cargo metadata has no packages")?;
    packages.iter().map(|package| member(root, package)).collect()
}

/// A file of the workspace: its path relative to the root, with `/`, and its text.
#[derive(Debug, Clone)]
pub(crate) struct TextFile {
    pub(crate) path: String,
    pub(crate) text: String,
}

/// Every text file that git tracks or would track (not what .gitignore names).
/// Files that are not UTF-8 are no text and are left out.
pub(crate) fn text_files(root: &Path) -> anyhow::Result<Vec<TextFile>> {
    let mut files = Vec::new();
    for path in paths(root)? {
        // Deleted but not yet committed: git still lists it. A link's target is listed itself.
        let Ok(metadata) = std::fs::symlink_metadata(root.join(&path)) else { continue };
        if !metadata.is_file() {
            continue;
        }
        let bytes = std::fs::read(root.join(&path)).with_context(|| format!("reading {path}"))?;
        if let Ok(text) = String::from_utf8(bytes) {
            files.push(TextFile { path, text });
        }
    }
    Ok(files)
}

fn member(root: &Path, package: &Value) -> anyhow::Result<Member> {
    let name = package["name"].as_str().context("a package without a name")?.to_owned();
    let manifest = Path::new(package["manifest_path"].as_str().context("no manifest path")?);
    let folder = manifest
        .parent()
        .and_then(|folder| folder.strip_prefix(root).ok())
        .with_context(|| format!("{name} is not below {}", root.display()))?;
    let mut member =
        Member { folder: folder.to_string_lossy().into_owned(), name, uses: Vec::new(), uses_in_tests: Vec::new() };
    for dependency in package["dependencies"].as_array().context("no list of dependencies")? {
        let name = dependency["name"].as_str().context("a dependency without a name")?.to_owned();
        match dependency["kind"].as_str() {
            Some("dev") => member.uses_in_tests.push(name),
            _ => member.uses.push(name),
        }
    }
    Ok(member)
}

fn paths(root: &Path) -> anyhow::Result<Vec<String>> {
    if !root.join(".git").exists() {
        // A source archive: everything but build output.
        let mut found = Vec::new();
        walk(root, root, &mut found)?;
        return Ok(found);
    }
    let listing = program::output(
        Command::new("git").args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).current_dir(root),
    )?;
    let mut found: Vec<String> = listing.split('\0').filter(|path| !path.is_empty()).map(str::to_owned).collect();
    if found.is_empty() {
        bail!("git lists no files below {}", root.display());
    }
    found.sort();
    found.dedup();
    Ok(found)
}

fn walk(root: &Path, folder: &Path, found: &mut Vec<String>) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            if entry.file_name() != "target" {
                walk(root, &path, found)?;
            }
        } else if let Ok(relative) = path.strip_prefix(root) {
            found.push(relative.to_string_lossy().into_owned());
        }
    }
    Ok(())
}

/// Where cargo puts what it builds. A relative `CARGO_TARGET_DIR` is relative to where cargo runs, which is the root.
pub(crate) fn target_folder(root: &Path) -> PathBuf {
    root.join(std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
}

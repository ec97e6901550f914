//! Packages of other languages, installed below the target folder and nowhere else.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

use crate::{program, workspace};

/// A Python with the packages that `requirements` names, in a virtual environment of its own called `name`. Made anew
/// when they change.
pub(crate) fn python(root: &Path, name: &str, requirements: &Path) -> anyhow::Result<PathBuf> {
    let folder = workspace::target_folder(root).join("foreign").join(name);
    let python = folder.join("bin/python");
    let wanted =
        std::fs::read_to_string(requirements).with_context(|| format!("reading {}", requirements.display()))?;
    install(&folder, &wanted, |folder| {
        program::run(Command::new("python3").args(["-m", "venv"]).arg(folder))?;
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"];
        program::run(Command::new(&python).args(pip).arg(requirements))
    })?;
    Ok(python)
}

/// A folder in which Node finds the packages that `package` (a package.json with exact versions) names.
pub(crate) fn node(root: &Path, name: &str, package: &Path) -> anyhow::Result<PathBuf> {
    let folder = workspace::target_folder(root).join("foreign").join(name);
    let wanted = std::fs::read_to_string(package).with_context(|| format!("reading {}", package.display()))?;
    install(&folder, &wanted, |folder| {
        std::fs::create_dir_all(folder)?;
        std::fs::write(folder.join("package.json"), &wanted)?;
        let install =
            ["install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts", "--loglevel=error"];
        program::run(Command::new("npm").args(install).current_dir(folder))
    })?;
    Ok(folder)
}

/// Installs `wanted` unless it is there. What was begun and not finished is thrown away.
fn install(folder: &Path, wanted: &str, make: impl Fn(&Path) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let mark = folder.join("installed.txt");
    if std::fs::read_to_string(&mark).is_ok_and(|there| there == wanted) {
        return Ok(());
    }
    if folder.exists() {
        std::fs::remove_dir_all(folder)?;
    }
    if let Some(parent) = folder.parent() {
        std::fs::create_dir_all(parent)?;
    }
    make(folder)?;
    std::fs::write(mark, wanted)?;
    Ok(())
}

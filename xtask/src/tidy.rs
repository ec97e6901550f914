//! `cargo xtask tidy`: what a machine can see of the house rules.
//!
//! Each rule is a function over one file (or all) whose message says what to do. Patterns are
//! written here in two pieces where this file would otherwise trip over them.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::bail;

use crate::source::without_comments_and_literals;
use crate::workspace::{self, Member, TextFile};

pub(crate) fn run(args: &[String]) -> anyhow::Result<()> {
    if !args.is_empty() {
        bail!("usage: cargo xtask tidy");
    }
    check(&workspace::root()?)
}

/// Fails with one line for each thing that is not tidy.
pub(crate) fn check(root: &Path) -> anyhow::Result<()> {
    let files = workspace::text_files(root)?;
    let members = workspace::members(root)?;
    let mut findings: Vec<String> =
        files.iter().flat_map(|file| FILE_RULES.iter().flat_map(|rule| rule(file))).collect();
    findings.extend(decision_numbers(&files));
    findings.extend(crate_names(&members));
    findings.extend(crate_docs(&members, &files));
    if findings.is_empty() {
        return Ok(());
    }
    bail!("{} things to tidy:\n  {}", findings.len(), findings.join("\n  "))
}

const FILE_RULES: [fn(&TextFile) -> Vec<String>; 7] =
    [length, spelling, unfinished, module_name, unsafe_place, foreign_paths, sleeping_tests];

/// A long file needs its reason written down where the reader begins.
fn length(file: &TextFile) -> Vec<String> {
    if !is_code(&file.path) {
        return Vec::new();
    }
    let lines = file.text.lines().count();
    let module_comment: String =
        file.text.lines().take_while(|line| line.starts_with("//!")).collect::<Vec<_>>().join(" ");
    if lines <= LINES_MAX || module_comment.contains("This file is long because") {
        return Vec::new();
    }
    vec![format!(
        "{}: {lines} lines; split it below {LINES_MAX}, or say in the module comment \
         \"This file is long because\" and why",
        file.path
    )]
}

/// One spelling, the wire's. Recorded exchanges keep what was recorded.
fn spelling(file: &TextFile) -> Vec<String> {
    if file.path.starts_with("conformance/") || is_generated(&file.path) {
        return Vec::new();
    }
    let wrong = [concat!("cance", "led"), concat!("Cance", "led"), concat!("cance", "ling")];
    findings(file, &file.text, "write it with two l (cancelled, cancelling)", |line| {
        wrong.iter().any(|word| line.contains(word))
    })
}

/// What is unfinished is an issue, not a mark in the code.
fn unfinished(file: &TextFile) -> Vec<String> {
    if is_generated(&file.path) {
        return Vec::new();
    }
    let marks = [concat!("FIX", "ME"), concat!("X", "XX")];
    let macros = [concat!("to", "do!"), concat!("unimple", "mented!"), concat!("db", "g!")];
    findings(file, &file.text, "finish it or take it out; what is left open goes to the issues", |line| {
        marks.iter().any(|mark| has_word(line, mark)) || macros.iter().any(|name| starts_word(line, name))
    })
}

/// A name that would fit any file tells the reader nothing.
fn module_name(file: &TextFile) -> Vec<String> {
    let Some(path) = file.path.strip_suffix(".rs") else { return Vec::new() };
    path.split('/')
        .filter(|part| is_empty_name(part))
        .map(|part| format!("{}: {part:?} says nothing; name it after what it holds", file.path))
        .collect()
}

/// Unsafe code stands where the machine is touched and nowhere else.
fn unsafe_place(file: &TextFile) -> Vec<String> {
    if !file.path.ends_with(".rs") || file.path.starts_with("crates/agent/src/host/") {
        return Vec::new();
    }
    let code = without_comments_and_literals(&file.text);
    findings(file, &code, "no unsafe outside crates/agent/src/host; use rustix or nix", |line| {
        has_word(line, concat!("un", "safe"))
    })
}

/// The tree must mean the same wherever it is checked out.
fn foreign_paths(file: &TextFile) -> Vec<String> {
    if is_generated(&file.path) {
        return Vec::new();
    }
    let paths = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("../sha", "red")];
    findings(file, &file.text, "no path of one particular machine; make it relative to the root", |line| {
        paths.iter().any(|path| starts_word(line, path))
    })
}

/// A test that sleeps is slow when all is well and wrong when the machine is busy.
fn sleeping_tests(file: &TextFile) -> Vec<String> {
    let in_tests = file.path.split('/').any(|part| part == "tests");
    if !in_tests || !file.path.ends_with(".rs") {
        return Vec::new();
    }
    let code = without_comments_and_literals(&file.text);
    let calls = [concat!("thread::sl", "eep"), concat!("time::sl", "eep")];
    findings(file, &code, "do not sleep in a test: step, or wait for the event with a deadline", |line| {
        calls.iter().any(|call| line.contains(call))
    })
}

/// Two decisions under one number cannot be cited.
fn decision_numbers(files: &[TextFile]) -> Vec<String> {
    let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
    let mut found = Vec::new();
    for file in files {
        let Some(name) = file.path.strip_prefix("docs/decisions/") else { continue };
        if name == "README.md" {
            continue;
        }
        let number = name.split('-').next().unwrap_or_default();
        let well_formed = number.len() == 4
            && number.chars().all(|c| c.is_ascii_digit())
            && name.ends_with(".md")
            && name.len() > "0000-.md".len();
        if !well_formed {
            found.push(format!("{}: name it NNNN-title.md", file.path));
        } else if let Some(first) = seen.insert(number, name) {
            found.push(format!("{}: {first} has this number; take the next free one", file.path));
        }
    }
    found
}

fn crate_names(members: &[Member]) -> Vec<String> {
    members
        .iter()
        .filter(|member| is_empty_name(&member.name))
        .map(|member| format!("crate {:?} says nothing; name it after what it holds", member.name))
        .collect()
}

/// The first thing in a crate says what it is.
fn crate_docs(members: &[Member], files: &[TextFile]) -> Vec<String> {
    let mut found = Vec::new();
    for member in members {
        for root in ["lib.rs", "main.rs"] {
            let path = format!("{}/src/{root}", member.folder);
            let Some(file) = files.iter().find(|file| file.path == path) else { continue };
            if !file.text.starts_with("//!") {
                found.push(format!("{path}: begin with a `//!` comment that says what the crate is"));
            }
        }
    }
    found
}

/// One finding for each line of `text` for which `is_wrong` holds.
fn findings(file: &TextFile, text: &str, advice: &str, is_wrong: impl Fn(&str) -> bool) -> Vec<String> {
    text.lines()
        .enumerate()
        .filter(|(_, line)| is_wrong(line))
        .map(|(index, _)| format!("{}:{}: {advice}", file.path, index + 1))
        .collect()
}

fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let after = line[at + word.len()..].chars().next();
        !line[..at].ends_with(is_word_part) && !after.is_some_and(is_word_part)
    })
}

fn starts_word(line: &str, text: &str) -> bool {
    line.match_indices(text).any(|(at, _)| !line[..at].ends_with(is_word_part))
}

fn is_word_part(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn is_empty_name(name: &str) -> bool {
    EMPTY_NAMES.iter().any(|empty| {
        name == *empty || name.strip_suffix('s') == Some(empty) || name.split(['_', '-']).any(|part| part == *empty)
    })
}

fn is_code(path: &str) -> bool {
    [".rs", ".sql", ".js", ".css", ".html", ".sh"].iter().any(|ending| path.ends_with(ending))
}

/// Written by a program, from what is checked elsewhere.
fn is_generated(path: &str) -> bool {
    path == "Cargo.lock"
}

/// Length from which a file needs a stated reason, in lines.
const LINES_MAX: usize = 700;

const EMPTY_NAMES: [&str; 5] = ["util", "common", "helper", "manager", "service"];

#[cfg(test)]
mod tests;

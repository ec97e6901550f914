//! `cargo xtask fuzz`: libFuzzer over every target of the crate `hostile`, from its seeds and what earlier runs found.
//!
//! Needs nothing that is not here already: libFuzzer is a crate, and the toolchain's own parts put its instructions into
//! the code. The address sanitizer is among those parts, but reaching it is not stable yet; `RUSTC_BOOTSTRAP` lets the
//! pinned toolchain do it without another one beside it. It makes no difference to what is built anywhere else.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread;

use anyhow::{Context, bail, ensure};

use crate::{program, workspace};

pub(crate) fn run(args: &[String]) -> anyhow::Result<()> {
    let asked = Asked::read(args)?;
    let root = workspace::root()?;
    let work = workspace::target_folder(&root).join("fuzz");
    let seeds = work.join("seeds");
    let write_seeds = ["run", "--locked", "--package", "hostile", "--bin", "seeds", "--"];
    program::run(program::cargo().args(write_seeds).arg(&seeds).current_dir(&root))?;
    let mut names = targets(&seeds)?;
    if let Some(unknown) = asked.targets.iter().find(|target| !names.contains(target)) {
        bail!("there is no target {unknown:?}; there are {}", names.join(", "));
    }
    if !asked.targets.is_empty() {
        names.retain(|name| asked.targets.contains(name));
    }
    let binary = build(&root, &work)?;
    let reports = fuzz_all(&binary, &work, &names, asked.seconds)?;
    println!("{}", Report::heading());
    for report in &reports {
        println!("{}", report.line());
    }
    let crashed: Vec<&Report> = reports.iter().filter(|report| !report.held).collect();
    if crashed.is_empty() {
        return if asked.keep { names.iter().try_for_each(|name| keep(&root, &binary, &work, name)) } else { Ok(()) };
    }
    for report in &crashed {
        println!("\n{}: what does not hold:\n{}", report.name, report.last_words);
    }
    bail!("{} of {} targets found something; the bytes are in {}", crashed.len(), reports.len(), work.display())
}

const SECONDS_DEFAULT: u32 = 60;

/// How many targets are fuzzed at the same time.
const AT_ONCE: usize = 2;

/// The longest input, in bytes: room for what floods a list or a text, but short enough to be played often.
const INPUT_BYTES_MAX: u32 = 16 * 1024;

/// How long one input may take before that counts as found, in seconds.
const INPUT_SECONDS_MAX: u32 = 20;

/// How much memory one target may take before that counts as found, in MiB: far above what any one input needs.
const MEMORY_MIB_MAX: u32 = 4096;

/// What the compiler puts in: which code an input reaches, what it is compared with, and every wrong use of memory.
const FLAGS: [&str; 8] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Zsanitizer=address",
    "-Ccodegen-units=1",
    // Libraries that know fuzzers leave out what only slows them down.
    "--cfg fuzzing",
];

struct Asked {
    seconds: u32,
    /// None: all.
    targets: Vec<String>,
    /// Whether what reached something new is kept in the tree.
    keep: bool,
}

impl Asked {
    fn read(args: &[String]) -> anyhow::Result<Self> {
        let mut asked = Self { seconds: SECONDS_DEFAULT, targets: vec![], keep: false };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            if arg == "--keep" {
                asked.keep = true;
                continue;
            }
            let value = args.next().with_context(|| format!("{arg} needs a value; {USAGE}"))?;
            match arg.as_str() {
                "--seconds" => asked.seconds = value.parse().with_context(|| format!("{value} seconds"))?,
                "--target" => asked.targets.push(value.clone()),
                _ => bail!("{USAGE}"),
            }
        }
        ensure!(asked.seconds > 0, "no time to fuzz; {USAGE}");
        Ok(asked)
    }
}

const USAGE: &str = "usage: cargo xtask fuzz [--seconds N] [--target NAME]... [--keep]";

/// The targets are the folders that the seeds were written into.
fn targets(seeds: &Path) -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(seeds).with_context(|| format!("reading {}", seeds.display()))? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    ensure!(!names.is_empty(), "no target has seeds");
    Ok(names)
}

fn build(root: &Path, work: &Path) -> anyhow::Result<PathBuf> {
    let triple = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    ensure!(runtime(&triple)?.is_file(), "the toolchain has no address sanitizer for {triple}");
    let target = work.join("build");
    program::run(
        program::cargo()
            .args(["build", "--release", "--locked", "--target", &triple, "--target-dir"])
            .arg(&target)
            .env("RUSTFLAGS", FLAGS.join(" "))
            .env("RUSTC_BOOTSTRAP", "1")
            .current_dir(root.join("fuzz")),
    )?;
    Ok(target.join(triple).join("release/doors"))
}

/// Where the toolchain keeps the sanitizer's own code.
fn runtime(triple: &str) -> anyhow::Result<PathBuf> {
    let sysroot = program::output(Command::new("rustc").args(["--print", "sysroot"]))?;
    let libraries = Path::new(sysroot.trim()).join("lib/rustlib").join(triple).join("lib");
    let files = std::fs::read_dir(&libraries).with_context(|| format!("reading {}", libraries.display()))?;
    let names = files.flatten().map(|file| file.file_name().to_string_lossy().into_owned());
    let name = names.into_iter().find(|name| name.starts_with("librustc") && name.ends_with("_rt.asan.a"));
    Ok(libraries.join(name.unwrap_or_default()))
}

/// What became of one target.
struct Report {
    name: String,
    executions: String,
    corpus: String,
    held: bool,
    last_words: String,
}

impl Report {
    fn heading() -> String {
        format!("{:10} {:>12} {:>12}  found", "target", "executions", "corpus")
    }

    fn line(&self) -> String {
        let found = if self.held { "nothing" } else { "SOMETHING" };
        format!("{:10} {:>12} {:>12}  {found}", self.name, self.executions, self.corpus)
    }
}

fn fuzz_all(binary: &Path, work: &Path, names: &[String], seconds: u32) -> anyhow::Result<Vec<Report>> {
    let waiting = Mutex::new(names.to_vec());
    let reports = Mutex::new(Vec::new());
    thread::scope(|scope| {
        let fuzzers: Vec<_> = (0..AT_ONCE)
            .map(|_| {
                scope.spawn(|| -> anyhow::Result<()> {
                    loop {
                        let next = waiting.lock().map_err(|_| panicked())?.pop();
                        let Some(name) = next else { return Ok(()) };
                        println!("    fuzzing {name} for {seconds} s");
                        let report = fuzz(binary, work, &name, seconds)?;
                        reports.lock().map_err(|_| panicked())?.push(report);
                    }
                })
            })
            .collect();
        fuzzers.into_iter().try_for_each(|fuzzer| fuzzer.join().map_err(|_| panicked())?)
    })?;
    let mut reports = reports.into_inner().map_err(|_| panicked())?;
    reports.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(reports)
}

fn panicked() -> anyhow::Error {
    anyhow::anyhow!("a thread of the fuzzing itself panicked")
}

fn fuzz(binary: &Path, work: &Path, name: &str, seconds: u32) -> anyhow::Result<Report> {
    let (corpus, found) = (work.join("corpus").join(name), work.join("found").join(name));
    for folder in [&corpus, &found] {
        std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    }
    let mut command = Command::new(binary);
    command
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-max_len={INPUT_BYTES_MAX}"))
        .arg(format!("-timeout={INPUT_SECONDS_MAX}"))
        .arg(format!("-rss_limit_mb={MEMORY_MIB_MAX}"))
        .args(["-len_control=0", "-print_final_stats=1"])
        .arg(format!("-artifact_prefix={}/", found.display()))
        .arg(&corpus)
        .arg(work.join("seeds").join(name))
        .env("FUZZ_TARGET", name)
        // What is kept for the whole run (keys, a runtime) is no leak.
        .env("ASAN_OPTIONS", "detect_leaks=0");
    if Path::new(MEMORY_FOLDER).is_dir() {
        // Stores of some targets sync to disk at every word.
        command.env("TMPDIR", MEMORY_FOLDER);
    }
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("starting {}", binary.display()))?;
    let words = String::from_utf8_lossy(&output.stderr);
    let executions = after(&words, "stat::number_of_executed_units:").unwrap_or("?").to_string();
    let corpus = words.lines().rev().find_map(|line| after(line, "corp:")).unwrap_or("?").to_string();
    let held = output.status.success();
    // A run that ended without a count did not fuzz at all.
    ensure!(!held || executions != "?", "{name} did not run: {}", last_words(&words));
    Ok(Report { name: name.into(), executions, corpus, held, last_words: last_words(&words) })
}

/// The longest input that is kept in the tree, in bytes, and the most of one target: a change is to be reviewed.
const KEPT_BYTES_MAX: u64 = 512;
const KEPT_MAX: usize = 200;

/// Writes the shortest inputs that together reach what all do into the target's corpus, a line of digits each.
fn keep(root: &Path, binary: &Path, work: &Path, name: &str) -> anyhow::Result<()> {
    let merged = work.join("kept").join(name);
    if merged.exists() {
        std::fs::remove_dir_all(&merged)?;
    }
    std::fs::create_dir_all(&merged)?;
    let mut merge = Command::new(binary);
    merge.args(["-merge=1".into(), format!("-max_len={KEPT_BYTES_MAX}")]).arg(&merged);
    merge.arg(work.join("seeds").join(name)).arg(work.join("corpus").join(name));
    merge.env("FUZZ_TARGET", name).env("ASAN_OPTIONS", "detect_leaks=0").stderr(Stdio::null());
    program::run(&mut merge)?;
    let mut inputs = Vec::new();
    for entry in std::fs::read_dir(&merged)? {
        inputs.push(std::fs::read(entry?.path())?);
    }
    inputs.sort_by_key(Vec::len);
    let mut lines: Vec<String> = inputs.iter().take(KEPT_MAX).map(|input| hexadecimal(input)).collect();
    lines.sort();
    println!("    {name}: {} inputs kept", lines.len());
    let text = lines.iter().map(|line| format!("{line}\n")).collect::<String>();
    Ok(std::fs::write(root.join("crates/hostile/corpus").join(format!("{name}.txt")), text)?)
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Where files are kept in memory.
const MEMORY_FOLDER: &str = "/dev/shm";

/// The word behind the last `mark`.
fn after<'a>(text: &'a str, mark: &str) -> Option<&'a str> {
    text.rsplit_once(mark).and_then(|(_, rest)| rest.split_whitespace().next())
}

/// What does not hold, and the bytes that show it: between them stand a hundred lines of stack.
fn last_words(words: &str) -> String {
    const REASON_LINES: usize = 4;
    const BYTES_LINES: usize = 12;
    let lines: Vec<&str> = words.lines().collect();
    let end = lines.len().saturating_sub(BYTES_LINES);
    let is_reason = |line: &&str| line.contains("panicked at") || line.contains("ERROR: ");
    let reason = lines[..end].iter().position(is_reason).unwrap_or(end);
    let shown = lines[reason..end].iter().take(REASON_LINES).chain(&lines[end..]);
    shown.copied().collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::{Asked, after, last_words};

    fn asked(line: &str) -> anyhow::Result<Asked> {
        Asked::read(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn what_is_asked_is_read_or_refused() {
        let read = asked("--seconds 5 --target talk").expect("understood");
        assert_eq!((read.seconds, read.targets), (5, vec!["talk".to_owned()]));
        assert_eq!(asked("").expect("understood").seconds, super::SECONDS_DEFAULT);
        assert!(asked("--keep --seconds 5").expect("understood").keep);
        for line in ["--seconds", "--seconds x", "--seconds 0", "--forever yes", "talk"] {
            assert!(asked(line).is_err(), "{line}");
        }
    }

    #[test]
    fn figures_are_found_in_what_the_fuzzer_says() {
        let words = "#9\tDONE   cov: 31 ft: 40 corp: 7/45b lim: 16384\nstat::number_of_executed_units: 17318\n";
        assert_eq!(after(words, "stat::number_of_executed_units:"), Some("17318"));
        assert_eq!(after(words, "corp:"), Some("7/45b"));
        assert_eq!(after(words, "stat::peak"), None);
    }

    #[test]
    fn the_reason_and_the_bytes_are_shown_without_the_stack_between_them() {
        let stack = "#1 somewhere\n".repeat(100);
        let shown = last_words(&format!("#7 NEW\nthread panicked at ids.rs:9\nwhy\n{stack}Base64: AA==\n"));
        assert!(shown.starts_with("thread panicked at ids.rs:9\nwhy\n") && shown.ends_with("Base64: AA=="), "{shown}");
        assert!(shown.lines().count() < 20);
        assert_eq!(last_words("short"), "short");
    }
}

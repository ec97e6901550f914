//! Running the tests with their output passed on, and their counts kept for the last line.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

/// Runs a test runner to its end and returns one line of counts.
///
/// # Errors
/// If the runner fails, or says nothing that counts tests: a run that tested nothing is no success.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<String> {
    let mut child =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().context("cannot start the test runner")?;
    let stdout = child.stdout.take().context("no standard output")?;
    let stderr = child.stderr.take().context("no standard error")?;
    // nextest reports on standard error, cargo test on standard output; both are passed on as
    // they come.
    let (out, err) = std::thread::scope(|scope| {
        let out = scope.spawn(|| pass_on(stdout, |line| println!("{line}")));
        let err = scope.spawn(|| pass_on(stderr, |line| eprintln!("{line}")));
        (out.join(), err.join())
    });
    let status = child.wait()?;
    let mut counts = Counts::default();
    for reports in [out, err] {
        let Ok(reports) = reports else { bail!("reading the test runner's output panicked") };
        reports?.iter().for_each(|line| counts.add(line));
    }
    if !status.success() {
        bail!("tests failed: {status}");
    }
    match counts.shown() {
        Some(line) => Ok(line),
        None => bail!("the test runner ended well but ran no test"),
    }
}

/// Shows every line, and returns those that count tests.
fn pass_on(from: impl Read, show: impl Fn(&str)) -> anyhow::Result<Vec<String>> {
    let mut reader = BufReader::new(from);
    let mut reports = Vec::new();
    let mut line = Vec::new();
    loop {
        line.clear();
        if reader.read_until(b'\n', &mut line)? == 0 {
            return Ok(reports);
        }
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end_matches('\n');
        show(text);
        if text.contains("tests run:") || text.contains("test run:") || text.contains("test result:") {
            reports.push(text.to_owned());
        }
    }
}

/// Sums over the many reports of `cargo test`, or the single one of nextest.
#[derive(Default)]
struct Counts {
    passed: u64,
    failed: u64,
    not_run: u64,
}

impl Counts {
    fn add(&mut self, report: &str) {
        // Both write a number before each word: "12 tests run: 11 passed (1 slow), 1 skipped"
        // and "test result: ok. 5 passed; 0 failed; 1 ignored; ...".
        let words: Vec<&str> =
            report.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
        for pair in words.windows(2) {
            let Ok(number) = pair[0].parse::<u64>() else { continue };
            match pair[1] {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "skipped" | "ignored" => self.not_run += number,
                _ => {}
            }
        }
    }

    fn shown(&self) -> Option<String> {
        let run = self.passed + self.failed;
        (run > 0).then(|| {
            format!("{run} tests run: {} passed, {} failed, {} skipped", self.passed, self.failed, self.not_run)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Counts, run};
    use std::process::Command;

    #[test]
    fn both_runners_are_understood() {
        let mut counts = Counts::default();
        counts.add("     Summary [   0.005s] 12 tests run: 12 passed (1 slow), 2 skipped");
        counts.add("test result: ok. 5 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out");
        assert_eq!(counts.shown().as_deref(), Some("17 tests run: 17 passed, 0 failed, 3 skipped"));
    }

    #[test]
    fn a_run_without_tests_is_no_success() {
        assert!(run(Command::new("sh").args(["-c", "echo hello"])).is_err());
        assert!(run(Command::new("sh").args(["-c", "echo 'test result: 0 passed'"])).is_err());
        assert!(run(Command::new("sh").args(["-c", "echo 'test result: 1 passed'; exit 1"])).is_err());
        assert!(run(Command::new("sh").args(["-c", "echo 'test result: 1 passed'"])).is_ok());
    }
}

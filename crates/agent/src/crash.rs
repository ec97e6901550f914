//! Places where a test can have the process killed: before and after every journal record and every effect.
//!
//! Compiled to nothing without the feature `crash-points`, which no shipped build has.

/// Marks that the run has come to the place called `name`.
///
/// With the feature `crash-points`: appends the name to the file that `COUNTERMAND_CRASH_LOG` names, and sends this
/// process SIGKILL when it is the place number `COUNTERMAND_CRASH_AT` (from 1) that was come to since its start.
#[cfg(not(feature = "crash-points"))]
pub fn reached(_name: &str) {}

/// Marks that the run has come to the place called `name`.
#[cfg(feature = "crash-points")]
pub fn reached(name: &str) {
    use std::io::Write as _;
    use std::sync::Mutex;

    static COME_TO: Mutex<u32> = Mutex::new(0);
    // Held until the end, so that nothing in this process goes on beside a place that kills it.
    let mut come_to = COME_TO.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    *come_to += 1;
    if let Some(path) = std::env::var_os("COUNTERMAND_CRASH_LOG")
        && let Ok(mut log) = std::fs::OpenOptions::new().create(true).append(true).open(path)
    {
        // A lost line shows in the test that reads it.
        let _ = writeln!(log, "{} {name}", *come_to);
    }
    if std::env::var("COUNTERMAND_CRASH_AT").is_ok_and(|at| at == come_to.to_string()) {
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        loop {
            std::thread::park();
        }
    }
}

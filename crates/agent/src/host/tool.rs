//! Running the machine's own tools: by path, with an argument list, never through a shell, always with an end.

use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags};

use super::HostError;
use super::clock::{timer, wait_ready};
use super::pipes::Tap;

/// Where tools are looked for; the agent's own PATH is not trusted.
const TOOL_FOLDERS: [&str; 4] = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"];
/// The longest a tool may run.
const TOOL_LIMIT: Duration = Duration::from_secs(30);
/// The most that is kept of what a tool prints.
const TOOL_OUTPUT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Runs `tool` in the calling thread's namespaces. Its refusal is an error, its output the answer.
pub(super) fn tell(tool: &'static str, args: &[&str], stdin: Stdio) -> Result<String, HostError> {
    let io = |source| HostError::Io { what: format!("cannot run {tool}"), source };
    let mut child = Command::new(locate(tool)?)
        .args(args)
        .env_clear()
        .env("LC_ALL", "C")
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(io)?;
    let answer = listen(&mut child);
    if answer.is_err() {
        let _ = child.kill();
    }
    let status = child.wait().map_err(io)?;
    let (stdout, stderr) = answer.map_err(io)?;
    match status.success() {
        true => Ok(stdout),
        false => Err(HostError::Tool { tool, said: stderr.trim().to_owned() }),
    }
}

fn locate(tool: &'static str) -> Result<PathBuf, HostError> {
    TOOL_FOLDERS
        .iter()
        .map(|folder| PathBuf::from(folder).join(tool))
        .find(|path| path.is_file())
        .ok_or(HostError::Tool { tool, said: format!("not installed in {}", TOOL_FOLDERS.join(", ")) })
}

fn listen(child: &mut Child) -> io::Result<(String, String)> {
    let mut stdout = tap(child.stdout.take())?;
    let mut stderr = tap(child.stderr.take())?;
    let limit = timer(TOOL_LIMIT)?;
    loop {
        let mut fds = vec![PollFd::new(&limit, PollFlags::IN)];
        let open = [stdout.open(), stderr.open()];
        fds.extend(open.iter().flatten().map(|pipe| PollFd::from_borrowed_fd(*pipe, PollFlags::IN)));
        if fds.len() == 1 {
            break;
        }
        wait_ready(&mut fds, None)?;
        if fds[0].revents().contains(PollFlags::IN) {
            return Err(io::Error::new(io::ErrorKind::TimedOut, format!("no end within {TOOL_LIMIT:?}")));
        }
        drop(fds);
        stdout.take_ready()?;
        stderr.take_ready()?;
    }
    let text = |tap: Tap| tap.finish().map(|captured| String::from_utf8_lossy(&captured.bytes).into_owned());
    Ok((text(stdout)?, text(stderr)?))
}

fn tap(pipe: Option<impl AsFd + Into<std::os::fd::OwnedFd>>) -> io::Result<Tap> {
    Tap::new(pipe.ok_or(io::ErrorKind::BrokenPipe)?, TOOL_OUTPUT_BYTES_MAX)
}

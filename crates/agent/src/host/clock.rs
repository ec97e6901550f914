//! The machine's own clock for lengths of time, and waiting on descriptors with a bound.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, Timespec, poll};
use rustix::io::Errno;
use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, clock_gettime, timerfd_create,
    timerfd_settime,
};

/// Time since boot, suspended time included. Never goes back and knows no date.
pub(super) fn uptime() -> Duration {
    let now = clock_gettime(ClockId::Boottime);
    Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), u32::try_from(now.tv_nsec).unwrap_or(0))
}

/// A descriptor that becomes readable when `limit` has passed, suspended time included.
pub(super) fn timer(limit: Duration) -> io::Result<OwnedFd> {
    let timer = timerfd_create(TimerfdClockId::Boottime, TimerfdFlags::CLOEXEC)?;
    let once = Itimerspec {
        it_interval: timespec(Duration::ZERO),
        // Zero would disarm the timer instead of letting it expire at once.
        it_value: timespec(limit.max(Duration::from_nanos(1))),
    };
    timerfd_settime(&timer, TimerfdTimerFlags::empty(), &once)?;
    Ok(timer)
}

/// Waits until one of `fds` is ready or `limit` has passed; no limit waits for ever. Signals do not end the wait.
pub(super) fn wait_ready(fds: &mut [PollFd<'_>], limit: Option<Duration>) -> io::Result<usize> {
    let until = limit.map(|limit| uptime() + limit);
    loop {
        let left = until.map(|until| timespec(until.saturating_sub(uptime())));
        match poll(fds, left.as_ref()) {
            Err(Errno::INTR) => {}
            answer => return Ok(answer?),
        }
    }
}

/// True if `fd` became readable (or ended) within `limit`.
pub(super) fn readable_within(fd: impl AsFd, limit: Duration) -> io::Result<bool> {
    let mut fds = [PollFd::new(&fd, rustix::event::PollFlags::IN)];
    Ok(wait_ready(&mut fds, Some(limit))? > 0)
}

fn timespec(length: Duration) -> Timespec {
    Timespec { tv_sec: i64::try_from(length.as_secs()).unwrap_or(i64::MAX), tv_nsec: i64::from(length.subsec_nanos()) }
}

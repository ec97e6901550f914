//! The stop signal: a flag that goes up once, never comes down, and that a waiter can sleep on.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{EventfdFlags, eventfd};

use super::clock::readable_within;

/// Tells running work to stop. All clones are the same flag; once given it stays given.
///
/// It is an eventfd that nobody reads, so it can stand in a `poll` beside pipes and timers.
#[derive(Clone)]
pub struct StopSignal {
    raised: Arc<OwnedFd>,
}

impl StopSignal {
    /// A signal not yet given. Fails only when the process has no descriptor left.
    pub fn new() -> io::Result<Self> {
        let raised = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { raised: Arc::new(raised) })
    }

    /// Gives the signal. Never blocks; giving it again changes nothing.
    pub fn stop(&self) {
        // The only possible failure is a full counter, and then the signal is up.
        let _ = rustix::io::write(&*self.raised, &1_u64.to_ne_bytes());
    }

    /// True once the signal was given.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.wait_for(Duration::ZERO)
    }

    /// Sleeps until the signal is given, at most for `limit`; true if it was given.
    #[must_use]
    pub fn wait_for(&self, limit: Duration) -> bool {
        // When even waiting fails, stopping is the safe answer.
        readable_within(&*self.raised, limit).unwrap_or(true)
    }
}

impl AsFd for StopSignal {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.raised.as_fd()
    }
}

impl fmt::Debug for StopSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StopSignal").field("stopped", &self.is_stopped()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_once_it_stays_given_for_every_clone() {
        let signal = StopSignal::new().unwrap();
        let other = signal.clone();
        assert!(!signal.is_stopped());
        other.stop();
        other.stop();
        assert!(signal.is_stopped() && other.is_stopped() && signal.is_stopped());
    }

    #[test]
    fn a_waiter_on_another_thread_wakes() {
        let signal = StopSignal::new().unwrap();
        let waiter = signal.clone();
        let thread = std::thread::spawn(move || waiter.wait_for(Duration::from_secs(30)));
        signal.stop();
        assert!(thread.join().unwrap());
    }
}

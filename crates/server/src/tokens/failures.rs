//! How often sign-ins from one address may fail. Whoever guesses secrets, or only keeps us busy, must not take the turns
//! of those who know theirs.

use domain::time::{TICKS_PER_SECOND, Timestamp};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};

/// How many sign-ins from one address may fail in one window. Loopback is no exception: a proxy or a tunnel stands there.
const FAILURES_MAX: u32 = 30;

/// How long a window is, in ticks.
const WINDOW: i64 = 60 * TICKS_PER_SECOND;

/// Addresses beyond which those whose window is over are forgotten.
const ADDRESSES_MAX: usize = 10_000;

/// The bits of an IPv6 address that tell one network from another: whoever has one address there has them all.
const NETWORK_V6: u128 = !0 << 64;

/// Counts failed sign-ins by address.
#[derive(Debug, Default)]
pub(super) struct Failures(Mutex<HashMap<IpAddr, Window>>);

#[derive(Debug)]
struct Window {
    since: i64,
    failed: u32,
}

impl Window {
    /// A clock that was set back ends it as well.
    fn is_over(&self, now: Timestamp) -> bool {
        !(self.since..self.since + WINDOW).contains(&now.0)
    }
}

impl Failures {
    /// Whether this address may try again.
    ///
    /// # Errors
    /// Too many failed: after so many whole seconds it may.
    pub(super) fn check(&self, address: IpAddr, now: Timestamp) -> Result<(), u64> {
        let windows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match windows.get(&network(address)) {
            Some(window) if window.failed >= FAILURES_MAX && !window.is_over(now) => {
                let ticks = window.since + WINDOW - now.0;
                Err(u64::try_from((ticks + TICKS_PER_SECOND - 1) / TICKS_PER_SECOND).unwrap_or(1))
            }
            _ => Ok(()),
        }
    }

    /// A sign-in from this address failed.
    pub(super) fn count(&self, address: IpAddr, now: Timestamp) {
        let mut windows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if windows.len() >= ADDRESSES_MAX {
            windows.retain(|_, window| !window.is_over(now));
        }
        let window = windows.entry(network(address)).or_insert(Window { since: now.0, failed: 0 });
        if window.is_over(now) {
            *window = Window { since: now.0, failed: 0 };
        }
        window.failed = window.failed.saturating_add(1);
    }
}

fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & NETWORK_V6)),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(1_000_000 + seconds)
    }

    #[test]
    fn an_address_that_failed_too_often_waits_and_others_do_not() {
        let failures = Failures::default();
        let [one, other] = ["127.0.0.1", "127.0.0.2"].map(|text| text.parse().unwrap());
        for _ in 0..FAILURES_MAX {
            assert_eq!(failures.check(one, at(0)), Ok(()));
            failures.count(one, at(0));
        }
        assert_eq!((failures.check(one, at(0)), failures.check(one, at(59))), (Err(60), Err(1)));
        assert_eq!(failures.check(other, at(0)), Ok(()));
        assert_eq!((failures.check(one, at(60)), failures.check(one, at(-1))), (Ok(()), Ok(())));
    }

    #[test]
    fn addresses_of_one_network_count_together() {
        let failures = Failures::default();
        let address = |text: &str| text.parse().unwrap();
        for number in 0..FAILURES_MAX {
            failures.count(address(&format!("2001:db8::{number:x}")), at(0));
        }
        assert!(failures.check(address("2001:db8::ffff"), at(0)).is_err());
        assert!(failures.check(address("2001:db8:0:1::1"), at(0)).is_ok());
    }
}

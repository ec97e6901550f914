//! The regular pass over what is overdue, was not heard, or is to be written down. It takes no input and does the same whether a wake was lost,
//! a server was restarted, or nothing happened at all: a lost wake-up costs seconds, never a hang.

use crate::actions::Actions;
use crate::clock::Clock;
use domain::time::Timestamp;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// How often machines with something outstanding are woken.
pub const WAKE_EVERY: Duration = Duration::from_secs(2);

/// How often deadlines are looked at, in passes.
const EXPIRE_EVERY_PASSES: u64 = 5;

/// How many overdue actions one pass ends.
const EXPIRED_PER_PASS_MAX: u32 = 1000;

/// How many expired keys of requests one pass forgets.
const KEYS_PER_PASS_MAX: u32 = 1000;

/// How often our own log is told how far the audit log goes, in passes: hourly. Shipped out with it, that shows what is
/// missing at the end of a log, or whether all of it was written anew.
const HEAD_EVERY_PASSES: u64 = 1800;

/// How long this process must have listened before a machine's silence counts: after the server itself was away, or its
/// clock was wrong, the machines come first. Many times an agent's longest pause between two attempts.
const LISTEN_FIRST: Duration = Duration::from_secs(600);

/// Sweeps until the process ends. `horizon_seconds`: an open action of a machine silent for longer is outcome unknown.
pub async fn sweep(actions: Actions, clock: Arc<dyn Clock>, horizon_seconds: i64) {
    let mut ticks = interval(WAKE_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let listening_since = Instant::now();
    let mut passes = 0u64;
    loop {
        ticks.tick().await;
        if let Err(e) = actions.wake_outstanding().await {
            tracing::error!(error = %e, "the sweep could not look for outstanding work");
        }
        if let Err(e) = actions.write_counted(clock.now(), false).await {
            tracing::error!(error = %e, "the audit log could not be told of what was counted");
        }
        if passes.is_multiple_of(HEAD_EVERY_PASSES) {
            show_head(&actions).await;
        }
        passes += 1;
        if passes.is_multiple_of(EXPIRE_EVERY_PASSES) {
            let now = clock.now();
            let unseen_since = unseen_since(now, horizon_seconds, listening_since.elapsed());
            match actions.expire(now, unseen_since, EXPIRED_PER_PASS_MAX).await {
                Ok(0) => {}
                Ok(ended) => tracing::info!(ended, "overdue actions were ended"),
                Err(e) => tracing::error!(error = %e, "the sweep could not end what is overdue"),
            }
            if let Err(e) = actions.forget_keys(now, KEYS_PER_PASS_MAX).await {
                tracing::error!(error = %e, "the sweep could not forget expired idempotency keys");
            }
        }
    }
}

/// Tells our own log how far the audit log goes.
pub async fn show_head(actions: &Actions) {
    match actions.audit_head().await {
        Ok(head) => tracing::info!(%head, "the audit log goes this far"),
        Err(e) => tracing::error!(error = %e, "it cannot be said how far the audit log goes"),
    }
}

/// Machines last seen before this are out of contact. None are while we have not listened for long enough ourselves.
fn unseen_since(now: Timestamp, horizon_seconds: i64, listened: Duration) -> Timestamp {
    if listened < LISTEN_FIRST { Timestamp(i64::MIN) } else { now.plus_seconds(-horizon_seconds) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_out_of_contact_before_we_have_listened() {
        let now = Timestamp::from_seconds(1_790_000_000);
        assert_eq!(unseen_since(now, 60, LISTEN_FIRST - Duration::from_millis(1)), Timestamp(i64::MIN));
        assert_eq!(unseen_since(now, 60, LISTEN_FIRST), now.plus_seconds(-60));
    }
}

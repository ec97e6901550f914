//! The regular pass over what is overdue or was not heard. It takes no input and does the same whether a wake was lost,
//! a server was restarted, or nothing happened at all: a lost wake-up costs seconds, never a hang.

use crate::actions::Actions;
use crate::clock::Clock;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};

/// How often machines with something outstanding are woken.
pub const WAKE_EVERY: Duration = Duration::from_secs(2);

/// How often deadlines are looked at, in passes.
const EXPIRE_EVERY_PASSES: u64 = 5;

/// How many overdue actions one pass ends.
const EXPIRED_PER_PASS_MAX: u32 = 1000;

/// Sweeps until the process ends. `horizon_seconds`: an open action of a machine silent for longer is outcome unknown.
pub async fn sweep(actions: Actions, clock: Arc<dyn Clock>, horizon_seconds: i64) {
    let mut ticks = interval(WAKE_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut passes = 0u64;
    loop {
        ticks.tick().await;
        if let Err(e) = actions.wake_outstanding().await {
            tracing::error!(error = %e, "the sweep could not look for outstanding work");
        }
        passes += 1;
        if passes.is_multiple_of(EXPIRE_EVERY_PASSES) {
            let now = clock.now();
            let unseen_since = now.plus_seconds(-horizon_seconds);
            match actions.expire(now, unseen_since, EXPIRED_PER_PASS_MAX).await {
                Ok(0) => {}
                Ok(ended) => tracing::info!(ended, "overdue actions were ended"),
                Err(e) => tracing::error!(error = %e, "the sweep could not end what is overdue"),
            }
        }
    }
}

//! Error injection: in a world where nothing goes wrong, every single call of store, journal, machine and link that can
//! fail fails once, on either side of what it does. The outcome is judged as every other.

use super::engine::Engine;
use super::ground::Side;
use super::rules::Breach;
use super::run::run;
use super::setting::Setting;

/// The worlds, by their seeds: together they have actions of every kind, and cancels in every stage.
pub const SEEDS: std::ops::Range<u64> = 0..5;

/// How many actions each has.
const REQUESTS: usize = 5;

/// What came of it.
#[derive(Debug, Default)]
pub struct Injected {
    /// How many calls there were that could fail.
    pub calls: u64,
    /// How many runs.
    pub runs: u64,
    /// Which failures broke a rule: the world, the call, the rule.
    pub failed: Vec<(u64, String, Breach)>,
}

/// The world with this seed; this call fails.
pub fn setting(only: Option<(u64, Side)>) -> Setting {
    let mut setting = Setting::calm(REQUESTS);
    (setting.asks_per_request, setting.replicas, setting.faults.only) = (3, 2, only);
    // Without a call that fails, none may: a number that is never reached.
    setting.faults.only = setting.faults.only.or(Some((u64::MAX, Side::Before)));
    setting
}

/// Lets every call of these worlds fail.
///
/// # Errors
/// There is no place for the store.
pub fn inject(engine: Engine) -> Result<Injected, store::StoreError> {
    let mut injected = Injected::default();
    for seed in SEEDS {
        let calls = run(seed, Some(setting(None)), engine, false)?.calls;
        injected.calls += calls;
        for call in 0..calls {
            for side in [Side::Before, Side::After] {
                let outcome = run(seed, Some(setting(Some((call, side)))), engine, false)?;
                injected.runs += 1;
                if let Some(breach) = outcome.breach {
                    let failed = outcome.failed.unwrap_or_else(|| format!("call {call}, which was not made"));
                    injected.failed.push((seed, failed, breach));
                }
            }
        }
    }
    Ok(injected)
}

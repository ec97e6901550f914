//! The bugs that every cancel feature repeats, each as a story that is played in many orders. The judge watches as
//! always; what a story must come to is said beside it.

use super::engine::Engine;
use super::library::SCRIPT;
use super::rules::Breach;
use super::setting::Setting;
use super::world::World;
use domain::Stage;
use domain::kind::Scope;
use domain::testimony::StepStatus;
use server::actions::{Wanted, WantedCommand};

/// How often each story is played, each time in another order.
pub const PLAYS: u64 = 40;

/// A story.
pub struct Scenario {
    /// The bug's number.
    pub bug: &'static str,
    /// What the bug is.
    pub what: &'static str,
    play: fn(&mut World),
}

/// Every story, by the number of its bug.
pub const SCENARIOS: [Scenario; 11] = [
    Scenario { bug: "B1", what: "a cancel comes between the check for it and the start", play: check_then_act },
    Scenario { bug: "B2", what: "a cancel decided on a row that has begun to run since", play: cancel_on_stale_row },
    Scenario { bug: "B3", what: "a late result comes after the end", play: late_result },
    Scenario { bug: "B4", what: "a cancel that nobody hears, while the work runs on", play: cancel_unheard },
    Scenario { bug: "B5", what: "a restart while a cancel is pending", play: restart_with_cancel_pending },
    Scenario { bug: "B6", what: "the kill cannot be written down", play: kill_cannot_be_marked },
    Scenario { bug: "B7", what: "one of two is cancelled", play: one_of_two },
    Scenario { bug: "B8", what: "a cancelled action blocks nothing", play: nothing_is_blocked },
    Scenario { bug: "B9", what: "the isolation cuts off whoever should report it", play: effect_cuts_channel },
    Scenario { bug: "B10", what: "Cancelled with a command that completed", play: completed_command },
    Scenario { bug: "B11", what: "everybody who knows of an undo dies", play: undo_without_coordinator },
];

impl Scenario {
    /// Plays it; in another order with each seed. Recorded, with a film.
    ///
    /// # Errors
    /// There is no place for the store.
    pub fn play(
        &self,
        seed: u64,
        engine: Engine,
        recorded: bool,
    ) -> Result<(Option<Breach>, Vec<String>), store::StoreError> {
        let opened = engine.open()?;
        let mut setting = Setting::calm(0);
        (setting.machines, setting.replicas) = (2, 2);
        let mut world = World::new(seed, Some(setting), opened.store.clone(), recorded);
        (self.play)(&mut world);
        let outcome = world.ends();
        Ok((outcome.breach, outcome.film))
    }
}

fn script() -> Wanted {
    Wanted::LiveResponse(vec![WantedCommand::RunScript(SCRIPT.into(), None)])
}

fn isolation() -> Wanted {
    Wanted::Isolate(Scope::Full)
}

/// The machine asks to begin; before it is answered a client cancels.
fn check_then_act(world: &mut World) {
    world.asks_for(0, script());
    world.plays(&[], "the server reads Claim");
    world.asks_for_cancel(1);
    world.plays_on(&["a process of a1-0 ends"]);
    world.must_end(1, &[Stage::Cancelled]);
}

/// The cancel has read the row while it was Pending, and is slow; the script runs; then the cancel goes on.
fn cancel_on_stale_row(world: &mut World) {
    world.asks_for(0, script());
    world.plays(&["reads Offer"], "is on record");
    world.asks_for_cancel(1);
    world.plays(&["reads Offer"], "a client cancels a1");
    if world.stage_of(1) == Some(Stage::Pending) {
        world.plays(&["a client cancels", "ends"], "a process of a1-0 acts");
    }
    world.plays_on(&["a process of a1-0 ends"]);
    world.must_end(1, &[Stage::Cancelled]);
}

/// The script has finished; its testimony is under way until the server has given the action up.
fn late_result(world: &mut World) {
    world.asks_for(0, script());
    let held = ["the server reads Final", "artifact"];
    world.plays(&held, "a process of a1-0 ends");
    world.plays_until(&held, |world| world.holds(0, "finished"));
    world.machine_falls_silent(0);
    world.plays_until(&held, |world| world.stage_of(1) == Some(Stage::TimedOut));
    world.machine_is_back(0);
    world.plays_on(&[]);
    world.must_end(1, &[Stage::TimedOut]);
}

/// The stream is cut in the moment of the cancel: no abort arrives, and the script would run for ever.
fn cancel_unheard(world: &mut World) {
    world.asks_for(0, script());
    world.plays(&["ends"], "a process of a1-0 acts");
    world.cut_all();
    world.asks_for_cancel(1);
    world.plays_on(&["a process of a1-0 ends"]);
    world.must_end(1, &[Stage::Cancelled]);
}

/// A cancel is accepted; before the machine hears of it, replicas and agent die and come back.
fn restart_with_cancel_pending(world: &mut World) {
    world.asks_for(0, script());
    world.plays(&["ends"], "a process of a1-0 acts");
    world.asks_for_cancel(1);
    world.plays_until(&["reads Abort", "ends"], |world| world.stage_of(1) == Some(Stage::Stopping));
    world.everything_restarts(0);
    world.plays_on(&["a process of a1-0 ends"]);
    world.must_end(1, &[Stage::Cancelled]);
}

/// The abort arrives, and the journal cannot be written.
fn kill_cannot_be_marked(world: &mut World) {
    world.asks_for(0, script());
    world.plays(&["ends"], "a process of a1-0 acts");
    world.asks_for_cancel(1);
    world.journal_fails(true);
    world.plays(&["ends"], "reads Abort");
    world.journal_fails(false);
    world.plays_on(&["a process of a1-0 ends"]);
    world.must_end(1, &[Stage::Cancelled]);
}

/// Two machines do the same; one of them is cancelled.
fn one_of_two(world: &mut World) {
    world.asks_for(0, script());
    world.asks_for(1, script());
    world.plays_until(&["ends"], |world| world.acted(1) && world.acted(2));
    world.asks_for_cancel(1);
    world.plays_until(&["a process of a1-0 ends", "a process of a2-0 ends"], |world| {
        world.stage_of(1) == Some(Stage::Cancelled)
    });
    world.plays_on(&[]);
    world.must_end(1, &[Stage::Cancelled]);
    world.must_end(2, &[Stage::Succeeded]);
}

/// After a cancel the same is requested again, and is done.
fn nothing_is_blocked(world: &mut World) {
    world.asks_for(0, isolation());
    world.plays(&[], "a1 runs step 0");
    world.asks_for_cancel(1);
    world.plays_until(&[], |world| world.stage_of(1).is_some_and(Stage::is_final));
    world.asks_for(0, isolation());
    world.plays_on(&[]);
    world.must_end(1, &[Stage::Cancelled, Stage::Succeeded]);
    world.must_end(2, &[Stage::Succeeded]);
}

/// Isolated, the machine cannot reach the server: it takes the isolation back by itself, and says so.
fn effect_cuts_channel(world: &mut World) {
    world.isolation_cuts_off(0);
    world.asks_for(0, isolation());
    world.plays_until(&[], |world| world.stage_of(1).is_some_and(Stage::is_final));
    world.must_end(1, &[Stage::Failed]);
    world.plays_on(&[]);
}

/// The first script has completed, the second runs and is cancelled: each command says what became of it.
fn completed_command(world: &mut World) {
    let command = || WantedCommand::RunScript(SCRIPT.into(), None);
    world.asks_for(0, Wanted::LiveResponse(vec![command(), command()]));
    world.plays(&["a process of a1-1 ends"], "a process of a1-1 acts");
    world.asks_for_cancel(1);
    world.plays_on(&["a process of a1-1 ends"]);
    world.must_end(1, &[Stage::Cancelled]);
    let statuses = world.steps_of(1);
    world.must(statuses == [StepStatus::Completed, StepStatus::Failed], "each command says what became of it");
}

/// A cancelled isolation is half undone when the agent and the replicas die.
fn undo_without_coordinator(world: &mut World) {
    world.asks_for(0, isolation());
    world.plays_until(&["prove"], |world| world.acted(1));
    world.asks_for_cancel(1);
    world.plays_until(&["dials"], |world| world.holds(0, "stopped") || world.stage_of(1).is_some_and(Stage::is_final));
    world.everything_restarts(0);
    world.plays_on(&[]);
    world.must_end(1, &[Stage::Cancelled, Stage::Succeeded]);
}

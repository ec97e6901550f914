//! What is right at the end of a case: for each crash place and each moment of a cancel exactly one status.

/// When a cancel was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cancel {
    /// Never.
    Never,
    /// While a step ran, with the agent alive; or in the first of two deaths.
    BeforeTheEnd,
    /// In the last death, before the agent came back for good.
    InTheLastDeath,
}

/// What must come of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Right {
    /// The final status.
    pub(super) status: &'static str,
    /// Whether the action may have begun on the machine.
    pub(super) may_have_begun: bool,
    /// Whether the cancel was taken (200) or refused as too late (400); none where none was asked.
    pub(super) cancel_taken: Option<bool>,
}

/// The one right end. `places` are all that were come to before the last death; a record is durable once its
/// `journal.after` was come to. `steps` is how many steps the action has.
pub(super) fn right(places: &[String], steps: usize, cancel: Cancel) -> Right {
    let durable = |record: &str| places.iter().filter(|place| **place == format!("journal.after.{record}")).count();
    let (started, stopped, ended) = (durable("started") > 0, durable("stopped") > 0, durable("final") > 0);
    // An acknowledgement is only ever given for an end that the server holds.
    let server_holds_the_end = places.iter().any(|place| place == "journal.before.acknowledged");
    let status = if started && !stopped && durable("done") >= steps {
        // Every step was done and looked at, on disk: it finished first, whatever is asked later.
        "Succeeded"
    } else {
        match cancel {
            Cancel::Never if !started => "Succeeded",
            Cancel::Never => "Failed",
            Cancel::BeforeTheEnd => "Cancelled",
            // Its end, Failed, was on disk before anybody asked.
            Cancel::InTheLastDeath if ended => "Failed",
            Cancel::InTheLastDeath => "Cancelled",
        }
    };
    let cancel_taken = match cancel {
        Cancel::Never => None,
        Cancel::BeforeTheEnd => Some(true),
        Cancel::InTheLastDeath => Some(!server_holds_the_end),
    };
    Right { status, may_have_begun: started || status != "Cancelled", cancel_taken }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(words: &str) -> Vec<String> {
        let full = |word: &str| match word.split_once(':') {
            Some((when, record)) => format!("journal.{when}.{record}"),
            None => word.to_string(),
        };
        words.split(' ').map(full).collect()
    }

    #[test]
    fn before_the_start_it_runs_later_or_never() {
        let dead = places("before:granted after:granted before:started");
        assert_eq!(right(&dead, 1, Cancel::Never).status, "Succeeded");
        let cancelled = right(&dead, 1, Cancel::InTheLastDeath);
        assert_eq!(cancelled, Right { status: "Cancelled", may_have_begun: false, cancel_taken: Some(true) });
    }

    #[test]
    fn in_the_middle_it_failed_or_was_cancelled() {
        let dead = places("after:granted after:started after:intent run_script.spawned before:done");
        assert_eq!(right(&dead, 1, Cancel::Never).status, "Failed");
        assert_eq!(right(&dead, 1, Cancel::InTheLastDeath).status, "Cancelled");
        let first_of_two = places("after:started after:intent after:done after:intent");
        assert_eq!(right(&first_of_two, 2, Cancel::Never).status, "Failed");
    }

    #[test]
    fn once_all_is_done_on_disk_it_finished_first() {
        let dead = places("after:started after:intent after:done before:final");
        let late = right(&dead, 1, Cancel::InTheLastDeath);
        assert_eq!(late, Right { status: "Succeeded", may_have_begun: true, cancel_taken: Some(true) });
        let known = places("after:started after:intent after:done after:final before:acknowledged");
        assert_eq!(right(&known, 1, Cancel::InTheLastDeath).cancel_taken, Some(false));
    }

    #[test]
    fn a_stop_that_is_on_disk_ends_as_what_was_asked_before_its_end() {
        let dead = places("after:started after:intent run_script.spawned after:stopped after:undone before:final");
        assert_eq!(right(&dead, 1, Cancel::BeforeTheEnd).status, "Cancelled");
        assert_eq!(right(&dead, 1, Cancel::InTheLastDeath).status, "Cancelled");
        let ended = places("after:started after:intent after:stopped after:undone after:final");
        assert_eq!(right(&ended, 1, Cancel::InTheLastDeath).status, "Failed");
        assert_eq!(right(&ended, 1, Cancel::BeforeTheEnd).status, "Cancelled");
        assert_eq!(right(&ended, 1, Cancel::Never).status, "Failed");
    }
}

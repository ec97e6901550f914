//! The server's side of an action's life, as one table: stage x event. `decide` looks here before it does anything.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Where an action stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Stage {
    /// No grant exists: no machine can begin.
    Pending,
    /// A grant exists: the machine may or may not have begun.
    Granted,
    /// As Granted, and a cancel was accepted: the machine has been or will be told to stop.
    Stopping,
    /// The grantee's journal testifies that it finished.
    Succeeded,
    /// The grantee testifies that it did not finish, and lists what remains.
    Failed,
    /// Never started in time; or nobody trustworthy can say what became of it.
    TimedOut,
    /// It never began; or the grantee testifies that it stopped and was put back.
    Cancelled,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum EventKind {
    /// A grant was asked for by the machine's newest session.
    Granted,
    /// A caller asked for a cancel.
    CancelRequested,
    /// Testimony: stopped, all processes dead, what is reversible put back.
    Stopped,
    /// Testimony: finished.
    Finished,
    /// Testimony: did not finish.
    Broke,
    /// The action's deadline, or the horizon for a silent machine, has passed; or an operator gave up waiting.
    DeadlinePassed,
    /// The journal that held the grant is gone.
    Disowned,
}

/// A cell of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Move there.
    To(Stage),
    /// Nothing to change: it is so already, or it comes too late to matter.
    Stay,
    /// Not allowed.
    Refuse,
}

/// All stages, in the table's order.
pub const STAGES: [Stage; 7] = [
    Stage::Pending,
    Stage::Granted,
    Stage::Stopping,
    Stage::Succeeded,
    Stage::Failed,
    Stage::TimedOut,
    Stage::Cancelled,
];

/// All events, in the table's order.
pub const EVENTS: [EventKind; 7] = [
    EventKind::Granted,
    EventKind::CancelRequested,
    EventKind::Stopped,
    EventKind::Finished,
    EventKind::Broke,
    EventKind::DeadlinePassed,
    EventKind::Disowned,
];

/// The table. Cancelled has exactly two ways in: from Pending by the request itself, from Stopping by testimony.
#[rustfmt::skip]
pub const TABLE: [[Next; 7]; 7] = {
    use {Next::{Refuse, Stay, To}, Stage::*};
    [
        //               Granted      CancelRequested  Stopped        Finished       Broke       DeadlinePassed  Disowned
        /* Pending   */ [To(Granted), To(Cancelled),   Refuse,        Refuse,        Refuse,     To(TimedOut),   Refuse],
        /* Granted   */ [To(Granted), To(Stopping),    Refuse,        To(Succeeded), To(Failed), To(TimedOut),   To(TimedOut)],
        /* Stopping  */ [Stay,        Stay,            To(Cancelled), To(Succeeded), To(Failed), To(TimedOut),   To(TimedOut)],
        /* Succeeded */ [Refuse,      Refuse,          Refuse,        Refuse,        Refuse,     Stay,           Stay],
        /* Failed    */ [Refuse,      Refuse,          Refuse,        Refuse,        Refuse,     Stay,           Stay],
        /* TimedOut  */ [Refuse,      Refuse,          Refuse,        Refuse,        Refuse,     Stay,           Stay],
        /* Cancelled */ [Refuse,      Stay,            Stay,          Refuse,        Refuse,     Stay,           Stay],
    ]
};

/// What the table says.
pub fn next(stage: Stage, event: EventKind) -> Next {
    TABLE[stage as usize][event as usize]
}

impl Stage {
    /// A stage that never moves again.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::TimedOut | Self::Cancelled)
    }

    /// A stage in which a grant is alive.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Granted | Self::Stopping)
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_columns_stand_in_order() {
        for (index, stage) in STAGES.iter().enumerate() {
            assert_eq!(*stage as usize, index);
        }
        for (index, event) in EVENTS.iter().enumerate() {
            assert_eq!(*event as usize, index);
        }
    }

    #[test]
    fn a_final_stage_never_moves() {
        for stage in STAGES.into_iter().filter(|stage| stage.is_final()) {
            for event in EVENTS {
                assert!(!matches!(next(stage, event), Next::To(_)), "{stage} x {event:?}");
            }
        }
    }

    #[test]
    fn cancelled_has_exactly_two_ways_in() {
        let ways: Vec<_> = STAGES
            .into_iter()
            .flat_map(|stage| EVENTS.map(|event| (stage, event)))
            .filter(|(stage, event)| next(*stage, *event) == Next::To(Stage::Cancelled))
            .collect();
        assert_eq!(ways, [(Stage::Pending, EventKind::CancelRequested), (Stage::Stopping, EventKind::Stopped)]);
    }

    #[test]
    fn nothing_is_granted_after_a_cancel() {
        for stage in [Stage::Stopping, Stage::Cancelled] {
            assert!(!matches!(next(stage, EventKind::Granted), Next::To(_)));
        }
    }

    #[test]
    fn every_live_stage_can_reach_a_final_one_without_a_deadline() {
        for stage in STAGES.into_iter().filter(|stage| !stage.is_final()) {
            let mut seen = vec![stage];
            let mut index = 0;
            while index < seen.len() {
                for event in EVENTS.into_iter().filter(|event| *event != EventKind::DeadlinePassed) {
                    if let Next::To(to) = next(seen[index], event)
                        && !seen.contains(&to)
                    {
                        seen.push(to);
                    }
                }
                index += 1;
            }
            assert!(seen.iter().any(|stage| stage.is_final()), "{stage} is a trap");
        }
    }
}

//! What a seed draws before anything happens: how large the world is, and which faults it has.

use super::dice::Dice;
use super::ground::Faults;

/// What a run is like.
#[derive(Clone, Debug)]
pub struct Setting {
    /// How many replicas of the server.
    pub replicas: usize,
    /// How many machines.
    pub machines: usize,
    /// How many actions are requested.
    pub requests: usize,
    /// How often clients come back to an action, by a cancel or a look.
    pub asks_per_request: u64,
    /// After so many steps all faults end.
    pub steps: u32,
    /// How often in a thousand steps something goes wrong.
    pub trouble_per_mille: u64,
    /// How much each kind of fault weighs among them; 0: it never happens.
    pub weights: [u64; Fault::ALL.len()],
    /// How often in a thousand an agent dies in the middle of what it was told.
    pub dies_midway_per_mille: u64,
    /// How often in a thousand a wake is lost.
    pub wake_lost_per_mille: u64,
    /// The calls that fail.
    pub faults: Faults,
}

/// A fault that befalls the world by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Fault {
    /// A stream is cut.
    Cut,
    /// An agent gives up its stream, and what it said is still under way.
    GiveUp,
    /// A machine cannot reach the server, or can again.
    Partition,
    /// An agent dies.
    AgentDies,
    /// A machine's power goes off and on.
    Reboot,
    /// A journal is lost.
    JournalLost,
    /// A machine's state is noted, to be set back to.
    Snapshot,
    /// A machine is set back.
    SetBack,
    /// A disk fills up, or has room again.
    DiskFull,
    /// A replica dies and comes back.
    ReplicaDies,
    /// A clock jumps.
    ClockJumps,
    /// An isolation of a machine cuts off the server too, or does so no more.
    Deaf,
    /// Everything that is overdue is looked for.
    Expire,
    /// A machine is enrolled again, with or without its journal.
    Reenrol,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::Cut,
        Self::GiveUp,
        Self::Partition,
        Self::AgentDies,
        Self::Reboot,
        Self::JournalLost,
        Self::Snapshot,
        Self::SetBack,
        Self::DiskFull,
        Self::ReplicaDies,
        Self::ClockJumps,
        Self::Deaf,
        Self::Expire,
        Self::Reenrol,
    ];

    /// How often it happens beside the others, where it happens at all.
    fn weight(self) -> u64 {
        match self {
            Self::Cut | Self::GiveUp => 30,
            Self::AgentDies => 25,
            Self::Partition | Self::ReplicaDies | Self::ClockJumps | Self::Expire => 12,
            Self::Reboot | Self::Deaf | Self::DiskFull => 8,
            Self::Snapshot => 6,
            Self::JournalLost | Self::SetBack | Self::Reenrol => 3,
        }
    }
}

impl Setting {
    /// What this seed draws.
    pub fn drawn(dice: &mut Dice) -> Self {
        let machines = 1 + dice.index(5).min(dice.index(5));
        let requests = 1 + dice.index(4 + 4 * machines);
        let mut weights = [0; Fault::ALL.len()];
        for fault in Fault::ALL {
            // Not every fault in every run: some bugs show only where most of the world is calm.
            if dice.chance(550) {
                weights[fault as usize] = fault.weight();
            }
        }
        let often = |dice: &mut Dice, per_mille: u64| if dice.chance(400) { 1 + dice.below(per_mille) } else { 0 };
        Self {
            replicas: 1 + dice.index(2),
            machines,
            requests,
            asks_per_request: dice.below(6),
            steps: (100 + 45 * requests as u32).min(700),
            trouble_per_mille: [0, 10, 30, 60, 120][dice.index(5)],
            weights,
            dies_midway_per_mille: often(dice, 60),
            wake_lost_per_mille: often(dice, 400),
            faults: Faults {
                store_per_mille: often(dice, 20),
                journal_per_mille: often(dice, 20),
                host_per_mille: often(dice, 30),
                ..Faults::default()
            },
        }
    }

    /// One machine and so many actions, and nothing goes wrong.
    pub fn calm(requests: usize) -> Self {
        Self {
            replicas: 1,
            machines: 1,
            requests,
            asks_per_request: 1,
            steps: 150 + 60 * requests as u32,
            trouble_per_mille: 0,
            weights: [0; Fault::ALL.len()],
            dies_midway_per_mille: 0,
            wake_lost_per_mille: 0,
            faults: Faults::default(),
        }
    }
}

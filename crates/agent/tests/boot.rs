//! What an agent takes up from an earlier run, on a real file system.

mod rig;

use agent::boot::{Leftovers, take_up};
use agent::host::{Host, SpawnSpec};
use agent::journal::Journal;
use agent::worker::{Crew, Identity};
use domain::action::Body;
use domain::grantee::{Entry, Record, StopWhy, Task, UndoRecord};
use domain::ids::{ActionId, Epoch, JournalId, MachineId};
use domain::kind::Scope;
use domain::time::Timestamp;
use rig::Rig;
use std::fs;
use std::sync::{Arc, Mutex};
use uuid::Uuid;

/// A crew that only notes what it was asked to do.
#[derive(Clone, Default)]
struct Noting(Arc<Mutex<Vec<(ActionId, Task)>>>);

impl Crew for Noting {
    fn begin(&mut self, action: ActionId, task: Task) {
        self.0.lock().unwrap().push((action, task));
    }
}

fn action(number: u128) -> ActionId {
    ActionId(Uuid::from_u128(number))
}

/// A journal with an action that was acknowledged and one that had begun.
fn journal(rig: &Rig) -> (Journal, Vec<Entry>) {
    let (mut journal, _) = Journal::open(&rig.path("journal"), JournalId(Uuid::from_u128(7))).unwrap();
    let granted = Record::Granted { epoch: Epoch(1), body: Body::Isolate { scope: Scope::Full } };
    let stopped = Record::Stopped { epoch: Epoch(1), why: StopWhy::Cancelled };
    let records = [
        (1, granted.clone()),
        (1, Record::Started),
        (1, stopped),
        (1, Record::Final { finished: false }),
        (1, Record::Acknowledged),
        (2, granted),
        (2, Record::Started),
        (2, Record::Intent { step: 0, undo: UndoRecord(b"{}".to_vec()) }),
    ];
    for (sequence, (number, record)) in (1..).zip(records) {
        journal.append(&Entry { sequence, at: Timestamp(1), action: action(number), record }).unwrap();
    }
    drop(journal);
    Journal::open(&rig.path("journal"), JournalId(Uuid::from_u128(8))).unwrap()
}

#[test]
fn what_was_left_running_is_killed_and_only_folders_that_somebody_needs_stay() {
    let rig = Rig::new();
    let staging = rig.path("staging");
    fs::create_dir(&staging).unwrap();
    for name in [action(1).to_string(), action(2).to_string(), action(3).to_string(), "other".into()] {
        fs::create_dir(staging.join(&name)).unwrap();
        fs::write(staging.join(name).join("content"), b"x").unwrap();
    }
    let running = rig.host.spawn(&rig.script(&rig::unique("boot"), "sleep 300")).unwrap();
    let (journal, entries) = journal(&rig);
    let identity =
        Identity { machine: MachineId([1; 20]), incarnation: 1, grant_key_id: "k".into(), grant_key: [0; 32] };
    let crew = Noting::default();

    let (worker, leftovers) =
        take_up(journal, &entries, crew.clone(), identity, &rig.host, &staging, Timestamp(2)).unwrap();

    assert_eq!(rig.host.groups().unwrap(), Vec::<String>::new(), "the sweep leaves nothing");
    assert_eq!(leftovers, Leftovers::Gone);
    drop(running);
    assert_eq!(rig.host.private_folders(&staging).unwrap(), [action(2).to_string()]);
    assert_eq!(*crew.0.lock().unwrap(), [(action(2), Task::Kill)]);
    assert_eq!(worker.standing().listed.iter().map(|listed| listed.action).collect::<Vec<_>>(), [action(2)]);
}

#[test]
fn what_did_not_die_at_the_start_is_killed_later_and_what_is_held_by_then_is_left_alone() {
    let rig = Rig::new();
    let (journal, entries) = journal(&rig);
    let identity =
        Identity { machine: MachineId([1; 20]), incarnation: 1, grant_key_id: "k".into(), grant_key: [0; 32] };
    let (worker, _) =
        take_up(journal, &entries, Noting::default(), identity, &rig.host, &rig.path("staging"), Timestamp(2)).unwrap();
    let [over, held, lost] = [1, 2, 3].map(|number| format!("{}-0", action(number)));
    let spawn = |group: &str| {
        rig.host.spawn(&SpawnSpec { group: group.into(), ..rig.script(&rig::unique("left"), "sleep 300") }).unwrap()
    };
    let running = [over, held.clone(), lost].map(|name| spawn(&name));

    let mut leftovers = Leftovers::MayLive;
    leftovers.sweep_again(&rig.host, worker.grantee());

    assert_eq!(rig.host.groups().unwrap().join(" "), held);
    assert_eq!(leftovers, Leftovers::Gone);
    let later = spawn("after-that");
    leftovers.sweep_again(&rig.host, worker.grantee());
    assert_eq!(rig.host.groups().unwrap().len(), 2, "once is enough");
    rig.host.kill_group(&held).unwrap();
    rig.host.kill_group("after-that").unwrap();
    drop((running, later));
}

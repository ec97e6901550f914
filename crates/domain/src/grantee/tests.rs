use super::held::StopWhy;
use super::*;
use crate::kind::Scope;
use crate::testimony::Ending;
use uuid::Uuid;

const SESSION: Epoch = Epoch(3);
const NONCE: Nonce = Nonce([1; 16]);
const NOW: Timestamp = Timestamp(50);

fn id(number: u128) -> ActionId {
    ActionId(Uuid::from_u128(number))
}

fn body() -> Body {
    Body::Isolate { scope: Scope::Full }
}

/// A grantee with the journal it wrote, so that a crash can be played at any record.
struct Rig {
    grantee: Grantee,
    journal: Vec<Entry>,
    tasks: Vec<(ActionId, Task)>,
    said: Vec<Say>,
}

impl Rig {
    fn new() -> Self {
        let journal = JournalId(Uuid::from_u128(77));
        Self { grantee: Grantee::new(journal), journal: vec![], tasks: vec![], said: vec![] }
    }

    fn connected() -> Self {
        let mut rig = Self::new();
        rig.input(Input::Welcome { session: SESSION, verdicts: vec![] });
        rig
    }

    fn input(&mut self, input: Input) {
        let out = self.grantee.step(input, NOW);
        self.carry(out);
    }

    fn carry(&mut self, out: Vec<Output>) {
        for output in out {
            match output {
                Output::Write(entry) => self.journal.push(entry),
                Output::Do(action, task) => self.tasks.push((action, task)),
                Output::Send(say) => self.said.push(say),
            }
        }
    }

    fn crash(self) -> Self {
        let (grantee, out) = Grantee::boot(self.grantee.journal, &self.journal, NOW).expect("our own journal");
        let mut rig = Self { grantee, journal: self.journal, tasks: vec![], said: vec![] };
        rig.carry(out);
        rig
    }

    fn granted(&mut self, action: ActionId) {
        self.input(Input::Offered { action, nonce: NONCE });
        self.input(Input::GrantArrived { action, epoch: SESSION, nonce: NONCE, body: body() });
    }

    fn task(&mut self) -> Task {
        assert!(!self.tasks.is_empty(), "nothing to do; said {:?}", self.said);
        self.tasks.remove(0).1
    }

    fn running(&mut self, action: ActionId) {
        self.granted(action);
        assert!(matches!(self.task(), Task::Prepare(_)));
        self.input(Input::Prepared { action, result: Ok(()) });
        assert!(matches!(self.task(), Task::Plan(_, 0)));
        self.input(Input::Planned { action, step: 0, result: Ok(UndoRecord(vec![9])) });
        assert!(matches!(self.task(), Task::Run(_, 0, _)));
    }

    fn ran(&mut self, action: ActionId, error: Option<&str>) {
        let result = Ran { started_at: NOW, ended_at: NOW, error: error.map(str::to_string), artifact: None };
        self.input(Input::Ran { action, step: 0, result });
    }

    fn cleared(&mut self, action: ActionId) {
        assert_eq!(self.task(), Task::Kill);
        self.input(Input::Killed { action });
        assert!(matches!(self.task(), Task::Undo(_, 0, _)));
        self.input(Input::UndoEnded { action, step: 0, result: Ok(vec![]) });
    }

    fn ending(&self) -> Option<Ending> {
        self.said.iter().rev().find_map(|say| match say {
            Say::Final { testimony, .. } => Some(testimony.ending.clone()),
            _ => None,
        })
    }
}

#[test]
fn the_whole_way_to_succeeded() {
    let mut rig = Rig::connected();
    rig.running(id(1));
    rig.ran(id(1), None);
    assert_eq!(rig.ending(), Some(Ending::Finished));
    assert_eq!(rig.grantee.isolated_by(), Some(id(1)));
    rig.input(Input::Acknowledged { action: id(1), epoch: SESSION });
    assert_eq!(rig.task(), Task::Retire);
    assert!(rig.grantee.listed().is_empty());
}

#[test]
fn a_cancel_while_running_stops_kills_waits_undoes_and_then_testifies() {
    let mut rig = Rig::connected();
    rig.running(id(1));
    rig.input(Input::AbortArrived { action: id(1), epoch: SESSION });
    assert!(matches!(rig.journal.last().map(|entry| &entry.record), Some(Record::Stopped { .. })), "stop comes first");
    assert_eq!(rig.task(), Task::Kill);
    rig.input(Input::Killed { action: id(1) });
    assert!(rig.tasks.is_empty() && rig.ending().is_none(), "the step has not come back yet");
    rig.ran(id(1), Some("killed"));
    assert!(matches!(rig.task(), Task::Undo(_, 0, _)));
    assert_eq!(rig.ending(), None, "nothing is said before the undo");
    rig.input(Input::UndoEnded { action: id(1), step: 0, result: Ok(vec!["a line".into()]) });
    assert_eq!(rig.ending(), Some(Ending::Stopped { began: true }));
}

#[test]
fn an_undo_that_fails_is_tried_again_and_never_reported_as_done() {
    let mut rig = Rig::connected();
    rig.running(id(1));
    rig.ran(id(1), Some("self-test failed"));
    assert_eq!(rig.task(), Task::Kill);
    rig.input(Input::Killed { action: id(1) });
    for _ in 0..3 {
        assert!(matches!(rig.task(), Task::Undo(_, 0, _)));
        rig.input(Input::UndoEnded { action: id(1), step: 0, result: Err("nft is gone".into()) });
        assert!(rig.tasks.is_empty() && rig.ending().is_none());
        rig.input(Input::Retry);
    }
    let troubles = rig.journal.iter().filter(|entry| matches!(entry.record, Record::UndoFailed { .. })).count();
    assert_eq!(troubles, 1, "the same trouble is journalled once");
    assert!(matches!(rig.task(), Task::Undo(_, 0, _)));
    rig.input(Input::UndoEnded { action: id(1), step: 0, result: Ok(vec![]) });
    assert_eq!(rig.ending(), Some(Ending::Broke { why: "self-test failed".into() }));
}

#[test]
fn an_abort_that_overtakes_its_grant_leaves_a_tombstone_that_refuses_it() {
    let mut rig = Rig::connected();
    rig.input(Input::Offered { action: id(1), nonce: NONCE });
    rig.input(Input::AbortArrived { action: id(1), epoch: SESSION });
    assert_eq!(rig.ending(), Some(Ending::Stopped { began: false }));
    rig.input(Input::GrantArrived { action: id(1), epoch: SESSION, nonce: NONCE, body: body() });
    rig.granted(id(1));
    assert!(rig.tasks.is_empty(), "never begun");
    let mut rig = rig.crash();
    rig.input(Input::Welcome { session: Epoch(4), verdicts: vec![] });
    rig.input(Input::Offered { action: id(1), nonce: NONCE });
    rig.input(Input::GrantArrived { action: id(1), epoch: Epoch(4), nonce: NONCE, body: body() });
    assert!(rig.tasks.is_empty(), "the tombstone outlives the process");
}

#[test]
fn a_lost_session_voids_an_unused_grant_and_an_unanswered_claim() {
    let mut rig = Rig::connected();
    rig.input(Input::Offered { action: id(1), nonce: NONCE });
    rig.input(Input::SessionLost);
    rig.input(Input::GrantArrived { action: id(1), epoch: SESSION, nonce: NONCE, body: body() });
    assert!(rig.tasks.is_empty() && rig.journal.is_empty());
    rig.input(Input::Welcome { session: Epoch(4), verdicts: vec![] });
    rig.input(Input::GrantArrived { action: id(1), epoch: SESSION, nonce: NONCE, body: body() });
    assert!(rig.tasks.is_empty(), "an old grant in a new session");
    rig.input(Input::Offered { action: id(1), nonce: Nonce([2; 16]) });
    rig.input(Input::GrantArrived { action: id(1), epoch: Epoch(4), nonce: NONCE, body: body() });
    assert!(rig.tasks.is_empty(), "a grant for another claim");
    rig.input(Input::GrantArrived { action: id(1), epoch: Epoch(4), nonce: Nonce([2; 16]), body: body() });
    assert!(matches!(rig.task(), Task::Prepare(_)));
}

#[test]
fn a_grant_that_was_journalled_but_not_used_before_a_crash_is_claimed_anew() {
    let mut rig = Rig::connected();
    rig.granted(id(1));
    rig.journal.truncate(1); // the crash came before Started was durable
    let mut rig = rig.crash();
    assert!(rig.tasks.is_empty());
    assert_eq!(rig.grantee.listed(), [Listed { action: id(1), epoch: SESSION, started: false }]);
    rig.input(Input::Welcome { session: Epoch(4), verdicts: vec![(id(1), Verdict::Continue)] });
    rig.input(Input::Offered { action: id(1), nonce: NONCE });
    assert!(matches!(rig.said.last(), Some(Say::Claim { session: Epoch(4), .. })));
    rig.input(Input::AbortArrived { action: id(1), epoch: Epoch(4) });
    assert_eq!(rig.ending(), Some(Ending::Stopped { began: false }), "the newer grant was lost on its way");
}

#[test]
fn after_a_crash_in_the_middle_everything_is_undone_without_waiting_and_named_when_the_server_speaks() {
    for (verdict, cancelled) in [(Verdict::Continue, false), (Verdict::Abort(SESSION), true)] {
        let mut rig = Rig::connected();
        rig.running(id(1));
        let mut rig = rig.crash();
        rig.cleared(id(1));
        assert_eq!(rig.ending(), None, "only the server knows whether it was cancelled meanwhile");
        rig.input(Input::Welcome { session: Epoch(4), verdicts: vec![(id(1), verdict)] });
        match (rig.ending(), cancelled) {
            (Some(Ending::Stopped { began: true }), true) | (Some(Ending::Broke { .. }), false) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn after_a_crash_behind_the_last_step_the_result_stands() {
    let mut rig = Rig::connected();
    rig.running(id(1));
    rig.ran(id(1), None);
    rig.journal.pop(); // Final was not durable, Done was
    let mut rig = rig.crash();
    rig.input(Input::Welcome { session: Epoch(4), verdicts: vec![(id(1), Verdict::Abort(SESSION))] });
    assert_eq!(rig.ending(), Some(Ending::Finished), "the first record wins");
}

#[test]
fn a_final_is_repeated_in_every_session_until_it_is_acknowledged() {
    let mut rig = Rig::connected();
    rig.running(id(1));
    rig.ran(id(1), None);
    for session in 4..7 {
        rig.said.clear();
        rig.input(Input::SessionLost);
        rig.input(Input::Welcome { session: Epoch(session), verdicts: vec![] });
        assert_eq!(rig.ending(), Some(Ending::Finished));
    }
    rig.input(Input::Acknowledged { action: id(1), epoch: Epoch(99) });
    assert!(rig.tasks.is_empty(), "an acknowledgement of another grant");
    rig.input(Input::Acknowledged { action: id(1), epoch: SESSION });
    rig.said.clear();
    rig.input(Input::Welcome { session: Epoch(9), verdicts: vec![] });
    assert_eq!(rig.ending(), None);
}

#[test]
fn an_abort_for_another_grant_changes_nothing() {
    let mut rig = Rig::connected();
    rig.running(id(1));
    let before = rig.journal.len();
    for epoch in [Epoch(2), Epoch(4)] {
        rig.input(Input::AbortArrived { action: id(1), epoch });
    }
    assert_eq!(rig.journal.len(), before);
}

#[test]
fn a_grant_that_cannot_be_obeyed_ends_the_action_without_beginning_it() {
    let mut rig = Rig::connected();
    let refused = |nonce| Input::GrantRefused { action: id(1), nonce, why: "unsigned".into() };
    rig.input(refused(NONCE));
    assert!(rig.journal.is_empty(), "nothing was claimed");
    rig.input(Input::Offered { action: id(1), nonce: NONCE });
    rig.input(refused(Nonce([9; 16])));
    assert!(rig.journal.is_empty(), "another claim");
    rig.input(refused(NONCE));
    assert_eq!(rig.ending(), Some(Ending::Broke { why: "unsigned".into() }));
    rig.granted(id(1));
    assert!(rig.tasks.is_empty(), "and never begins");
}

#[test]
fn nothing_starts_before_welcome() {
    let mut rig = Rig::new();
    rig.granted(id(1));
    assert!(rig.tasks.is_empty() && rig.said.is_empty() && rig.journal.is_empty());
}

#[test]
fn a_record_that_does_not_follow_is_refused() {
    let entry = |sequence, record| Entry { sequence, at: NOW, action: id(1), record };
    let granted = Record::Granted { epoch: SESSION, body: body() };
    let stopped = Record::Stopped { epoch: SESSION, why: StopWhy::Cancelled };
    let bad: [Vec<Entry>; 6] = [
        vec![entry(1, Record::Started)],
        vec![entry(2, granted.clone())],
        vec![entry(1, granted.clone()), entry(2, Record::Final { finished: true })],
        vec![entry(1, granted.clone()), entry(2, Record::Undone { step: 0, residue: vec![] })],
        vec![entry(1, stopped.clone()), entry(2, Record::Started)],
        vec![entry(1, stopped), entry(2, Record::Final { finished: false }), entry(3, granted)],
    ];
    for entries in bad {
        let refused = Grantee::boot(JournalId(Uuid::from_u128(1)), &entries, NOW);
        assert!(refused.is_err(), "{entries:?}");
    }
}

#[test]
fn a_crash_at_every_record_of_a_cancelled_run_ends_in_one_true_testimony() {
    let mut rig = Rig::connected();
    rig.running(id(1));
    rig.input(Input::AbortArrived { action: id(1), epoch: SESSION });
    rig.ran(id(1), Some("killed"));
    rig.cleared(id(1));
    assert_eq!(rig.ending(), Some(Ending::Stopped { began: true }));
    for kept in 0..=rig.journal.len() {
        let journal = rig.journal[..kept].to_vec();
        let mut rig = Rig { journal, ..Rig::new() }.crash();
        while let Some((action, task)) = rig.tasks.pop() {
            match task {
                Task::Kill => rig.input(Input::Killed { action }),
                Task::Undo(_, step, _) => rig.input(Input::UndoEnded { action, step, result: Ok(vec![]) }),
                other => panic!("after a crash only a kill or an undo may happen: {other:?}"),
            }
        }
        let verdicts = rig.grantee.listed().iter().map(|item| (item.action, Verdict::Abort(SESSION))).collect();
        rig.input(Input::Welcome { session: Epoch(4), verdicts });
        rig.input(Input::AbortArrived { action: id(1), epoch: SESSION });
        let began = kept >= 2;
        assert_eq!(rig.ending(), Some(Ending::Stopped { began }), "crash after {kept} records");
    }
}

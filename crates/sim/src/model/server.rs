//! The server's steps. Each is one compare-and-set on a row, decided by `domain::decide` and `domain::hello`; what
//! stands here is the store that commits it and the stream that carries its words, and no more.

use super::Protocol;
use super::message::{Message, NOW, action_id, action_index, journal_id, journal_seen, nonce, small, testimony};
use super::rules::{self, Rule};
use super::state::{Link, State};
use super::step::{Step, What};
use domain::Stage;
use domain::action::{Action, State as Stand};
use domain::decide::{Change, Decision, Event, Overdue, Tell, decide};
use domain::grantee::Input;
use domain::hello::{self, Outstanding};
use domain::ids::Epoch;
use domain::mutant::{Mutant, is_on};

/// What a decision came to, for the stream that asked.
pub(super) enum Told {
    /// Decided, and to be told so.
    Tell(Tell),
    /// The session is not the newest, or something of the class is in the way, or the event is refused.
    No,
}

impl Protocol {
    /// Decides and commits, as the server's use cases do.
    pub(super) fn commit(&self, state: &mut State, index: usize, event: Event) -> Told {
        match decide(state.row(index), event, NOW) {
            Ok(Decision::Change(change, tell)) => {
                if self.needs_are_met(state, &change) {
                    self.store(state, index, change.action);
                    Told::Tell(tell)
                } else {
                    Told::No
                }
            }
            Ok(Decision::Stay(tell) | Decision::Late(_, tell)) => Told::Tell(tell),
            Err(_) => Told::No,
        }
    }

    /// The store's part of a grant: the newest session, and nothing of the class open, or requested earlier and live.
    fn needs_are_met(&self, state: &State, change: &Change) -> bool {
        let Some(needs) = change.needs else { return true };
        let fenced = needs.session == Epoch(u64::from(state.session)) || is_on(Mutant::NoSessionFence);
        let index = action_index(change.action.id);
        let in_the_way = |(other, row): (usize, &Action)| {
            let live = !row.stage().is_final();
            other != index
                && Some(row.kind().class()) == needs.class
                && live
                && (row.stage().is_open() || other < index)
        };
        fenced && (is_on(Mutant::NoClassGuard) || !state.rows.iter().enumerate().any(in_the_way))
    }

    /// Puts a row in place, without what no decision looks at.
    fn store(&self, state: &mut State, index: usize, mut after: Action) {
        let before = state.row(index).clone();
        after.updated_at = before.updated_at;
        after.revision = before.revision;
        let cancel = match &mut after.state {
            Stand::Stopping { cancel, .. } | Stand::Cancelled { cancel, .. } => Some(cancel),
            Stand::Succeeded { cancel, .. } | Stand::Failed { cancel, .. } | Stand::TimedOut { cancel, .. } => {
                cancel.as_mut()
            }
            Stand::Pending | Stand::Granted { .. } => None,
        };
        if let Some(cancel) = cancel {
            cancel.at = NOW;
        }
        rules::judge_commit(state, &before, &after);
        let mut rows = (*state.rows).clone();
        rows[index] = after;
        state.rows = self.rows.keep(rows);
    }

    /// Adds a message to what was ever sent.
    pub(super) fn send(&self, state: &mut State, message: Message) {
        if let Err(place) = state.sent.binary_search(&message) {
            let mut sent = (*state.sent).clone();
            sent.insert(place, message);
            state.sent = self.sent.keep(sent);
        }
    }

    /// Everything the server can do by itself or for a client.
    pub(super) fn server_steps(&self, state: &State, out: &mut Vec<(Step, State)>) {
        for index in 0..state.rows.len() {
            let action = index as u8;
            let stage = state.row(index).stage();
            if action < self.bounds.cancels {
                let mut after = state.clone();
                self.cancel(&mut after, index);
                out.push((Step::whole(What::Cancel(action)), after));
            }
            if action < self.bounds.deadlines && !stage.is_final() {
                let mut after = state.clone();
                let silent_in = if stage.is_open() { state.session } else { 0 };
                self.expire(&mut after, index, silent_in);
                out.push((Step::whole(What::Deadline(action)), after));
                if state.spent.slow_sweeps < self.bounds.slow_sweeps {
                    let mut later = state.clone();
                    later.spent.slow_sweeps += 1;
                    self.send(&mut later, Message::Overdue { action, silent_in });
                    out.push((Step::whole(What::Looks(action)), later));
                }
            }
            if stage == Stage::Cancelled && is_on(Mutant::StoreLosesCommit) {
                let mut after = state.clone();
                let mut rows = (*state.rows).clone();
                rows[index].state = Stand::Pending;
                after.rows = self.rows.keep(rows);
                out.push((Step::whole(What::LoseCommit(action)), after));
            }
        }
        for message in state.sent.iter() {
            let mut after = state.clone();
            match *message {
                Message::Claim { action, of, .. } => {
                    self.claim(&mut after, *message);
                    after.judge_mover(state, usize::from(action), of, Rule::NewestSessionClaims);
                }
                Message::Final { action, epoch, journal, end, residue, of } => {
                    // What an earlier enrolment says is not heard at all.
                    if !hello::is_current(u32::from(state.incarnation), u32::from(of)) {
                        continue;
                    }
                    let words = testimony(epoch, journal, end, residue);
                    if let Told::Tell(Tell::Acknowledge) =
                        self.commit(&mut after, usize::from(action), Event::Reported(words))
                    {
                        self.send(&mut after, Message::Acknowledge { action, epoch, of });
                    }
                    after.judge_mover(state, usize::from(action), of, Rule::OnlyTheGranteeTestifies);
                }
                Message::Hello { session, journal, went_back, .. } => {
                    self.disown(&mut after, session, session, journal, went_back);
                }
                Message::Overdue { action, silent_in } => self.expire(&mut after, usize::from(action), silent_in),
                _ => continue,
            }
            out.push((Step::whole(What::Arrives(*message)), after));
        }
    }

    fn cancel(&self, state: &mut State, index: usize) {
        let first = state.row(index).state.cancel().is_none();
        let requestor = if first { "first" } else { "second" };
        let event = Event::CancelRequested { requestor: requestor.into(), comment: String::new() };
        if let Told::Tell(_) = self.commit(state, index, event) {
            state.accepted |= 1 << index;
        }
    }

    /// The time of an action was up when the sweep looked: Pending, or (not 0) its machine silent in this session.
    fn expire(&self, state: &mut State, index: usize, silent_in: u8) {
        let session = Epoch(u64::from(silent_in));
        let overdue = if silent_in == 0 { Overdue::NotGranted } else { Overdue::Silent { session } };
        let before = state.row(index).clone();
        self.commit(state, index, Event::DeadlinePassed(overdue));
        if rules::moved(&before, state.row(index)) && before.stage().is_open() && silent_in != state.session {
            state.breaks(Rule::SilentIsSaidOfTheSilentOnly);
        }
    }

    fn claim(&self, state: &mut State, claim: Message) {
        let Message::Claim { action, session, attempt, journal, of } = claim else { return };
        let index = usize::from(action);
        let event = Event::Claimed { session: Epoch(u64::from(session)), journal: journal_id(journal) };
        let told = if is_on(Mutant::StaleReplicaGrants) {
            let mut remembered = state.row(index).clone();
            remembered.state = Stand::Pending;
            match decide(&remembered, event, NOW) {
                Ok(Decision::Change(change, tell)) if self.needs_are_met(state, &change) => {
                    if state.row(index).stage() == Stage::Pending {
                        self.store(state, index, change.action);
                    }
                    Told::Tell(tell)
                }
                _ => Told::No,
            }
        } else {
            self.commit(state, index, event)
        };
        let answer = match told {
            Told::Tell(Tell::Grant(grant)) => {
                Message::Grant { action, epoch: small(grant.epoch), session, attempt, of }
            }
            Told::Tell(Tell::Abort(epoch)) => Message::Abort { action, epoch: small(epoch), of },
            Told::Tell(_) | Told::No => Message::Deny { action, of },
        };
        self.send(state, answer);
    }

    /// What the return of a machine with this journal ends, as long as its newest session is `newest`.
    pub(super) fn disown(&self, state: &mut State, session: u8, newest: u8, journal: u8, went_back: bool) {
        let (session, newest) = (Epoch(u64::from(session)), Epoch(u64::from(newest)));
        let journal = journal_seen(journal, 0);
        for index in 0..state.rows.len() {
            if let Some(event) = hello::on_return(state.row(index), session, newest, journal, went_back) {
                self.commit(state, index, event);
            }
        }
    }

    /// The steps between the server and the agent's link.
    pub(super) fn stream_steps(&self, state: &State, out: &mut Vec<(Step, State)>) {
        let Some(process) = &state.process else { return };
        match &process.link {
            Link::Dialling { listed, went_back } => {
                let mut after = state.clone();
                self.disown(&mut after, process.session, process.session, state.disk.journal, *went_back);
                let verdict = |item: &domain::grantee::Listed| {
                    let row = after.rows.get(action_index(item.action));
                    (item.action, hello::verdict(row, item))
                };
                let verdicts = listed.iter().map(verdict).collect();
                let mut process = (**process).clone();
                process.link = Link::Answered { verdicts };
                after.process = Some(self.processes.keep(process));
                out.push((Step::whole(What::Answer), after));
            }
            Link::Answered { verdicts } => {
                let mut process = (**process).clone();
                let session = Epoch(u64::from(process.session));
                let input = Input::Welcome { session, verdicts: verdicts.clone() };
                process.link = Link::Open;
                process.claims = Default::default();
                self.feed(state, process, What::Welcome, input, out);
            }
            // One that is not the newest ends instead, which it may at any time.
            Link::Open if process.session == state.session => self.outstanding(state, out),
            Link::Open | Link::Down => {}
        }
    }

    /// What is outstanding, said in the session that is open.
    fn outstanding(&self, state: &State, out: &mut Vec<(Step, State)>) {
        let live = state.rows.iter().filter(|row| !row.stage().is_final());
        let mut items = hello::outstanding(live, Epoch(u64::from(state.session)));
        // What the agent may hold of what was ended without it.
        let held =
            |row: &&Action| row.state.grant().is_some_and(|grant| grant.journal == journal_id(state.disk.journal));
        items.extend(state.rows.iter().filter(held).filter_map(hello::given_up));
        let mut later = state.clone();
        for item in items {
            let message = match item {
                Outstanding::Offer(action, _) => Message::Offer { action: action_index(action) as u8 },
                Outstanding::Abort(action, epoch) => {
                    Message::Abort { action: action_index(action) as u8, epoch: small(epoch), of: state.enrolled }
                }
            };
            self.send(&mut later, message);
            self.hears(state, message, true, out);
        }
        out.push((Step::whole(What::SayOutstanding), later));
    }

    /// A message for the agent arrives. `fresh`: it is said in the session that is open, now.
    pub(super) fn hears(&self, state: &State, message: Message, fresh: bool, out: &mut Vec<(Step, State)>) {
        let Some(process) = &state.process else { return };
        if message.stream().is_some_and(|of| of != state.enrolled) {
            return;
        }
        let what = |action| if fresh { What::Outstanding(action) } else { What::Arrives(message) };
        match message {
            Message::Offer { action } => self.offered(state, action, what(action), out),
            Message::Grant { action, epoch, session, attempt, .. } => {
                let index = usize::from(action);
                let input = Input::GrantArrived {
                    action: action_id(index),
                    epoch: Epoch(u64::from(epoch)),
                    nonce: nonce(session, attempt),
                    body: state.row(index).body.clone(),
                };
                self.feed(state, (**process).clone(), what(action), input, out);
            }
            Message::Deny { action, .. } => {
                let input = Input::Denied { action: action_id(usize::from(action)) };
                self.feed(state, (**process).clone(), what(action), input, out);
            }
            Message::Abort { action, epoch, .. } => {
                let (action_id, epoch) = (action_id(usize::from(action)), Epoch(u64::from(epoch)));
                let input = Input::AbortArrived { action: action_id, epoch };
                self.feed(state, (**process).clone(), what(action), input, out);
            }
            Message::Acknowledge { action, epoch, .. } => {
                let (action_id, epoch) = (action_id(usize::from(action)), Epoch(u64::from(epoch)));
                self.feed(
                    state,
                    (**process).clone(),
                    what(action),
                    Input::Acknowledged { action: action_id, epoch },
                    out,
                );
            }
            Message::Claim { .. } | Message::Final { .. } | Message::Hello { .. } | Message::Overdue { .. } => {}
        }
    }
}

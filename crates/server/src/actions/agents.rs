//! What agents ask for: sessions, grants, and the keeping of their testimony.

use super::{ActionError, Actions, Busy, COMMANDS_MAX, Decided};
use domain::action::{Action, Body};
use domain::decide::{Event, Tell};
use domain::grantee::{Listed, Verdict};
use domain::hello::{self, Outstanding};
use domain::history::{Line, Source};
use domain::ids::{ActionId, Digest, Epoch, JournalId, MachineId};
use domain::lifecycle::Stage;
use domain::machine::{JournalSeen, Told};
use domain::testimony::{Ending, Testimony};
use domain::time::Timestamp;

/// The longest line of a machine's words that is kept, in bytes.
const FACT_BYTES_MAX: usize = 2000;

/// The longest name or version that a machine tells of itself, in bytes.
const TOLD_BYTES_MAX: usize = 256;

/// The most kinds a machine may say it can carry out.
const TOLD_KINDS_MAX: usize = 16;

/// The most facts of one testimony that are kept: some for every step, and room.
const FACTS_MAX: usize = 512;

/// The most lines of one testimony on what is left behind that are kept.
const RESIDUE_MAX: usize = 2 * COMMANDS_MAX;

/// The most errors of one step that are kept.
const STEP_ERRORS_MAX: usize = 16;

/// Who is on the other end of a stream, by its certificate and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Which machine.
    pub machine: MachineId,
    /// Under which enrolment.
    pub incarnation: u32,
}

/// An opened session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its number.
    pub number: Epoch,
    /// How each listed action stands.
    pub verdicts: Vec<(ActionId, Verdict)>,
}

/// The answer to a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claimed {
    /// Recorded: it may begin.
    Grant {
        /// The grant's number.
        epoch: Epoch,
        /// What is to be done.
        body: Body,
    },
    /// It was cancelled after an earlier grant.
    Abort(Epoch),
    /// It has ended, or never was.
    Gone,
    /// It was cancelled before any grant.
    Cancelled,
    /// It belongs to another machine.
    NotYours,
    /// Something requested earlier needs the same thing.
    Busy,
    /// A newer session is open.
    OldSession,
}

impl Actions {
    /// Opens a session and says how everything the agent listed stands. `None`: no such machine of this enrolment, or
    /// `after` is not its newest session.
    ///
    /// A journal that is another one than holds our grants, or the same one gone back in time, cannot testify to what
    /// was begun: those actions end in outcome unknown, and are never granted again.
    pub async fn open_session(
        &self,
        peer: Peer,
        after: Epoch,
        told: &Told,
        journal: JournalSeen,
        listed: &[Listed],
        now: Timestamp,
    ) -> Result<Option<Session>, ActionError> {
        let Some(before) = self.store.machine(peer.machine).await? else { return Ok(None) };
        if before.session != after {
            tracing::warn!(machine = %peer.machine, "a Hello that was slow: another session was opened since");
            return Ok(None);
        }
        if !hello::is_current(before.incarnation, peer.incarnation) {
            tracing::warn!(machine = %peer.machine, incarnation = peer.incarnation, "a Hello of an earlier enrolment");
            return Ok(None);
        }
        let went_back = hello::went_back(before.told.journal, journal);
        if went_back {
            tracing::error!(machine = %peer.machine, "the journal went back in time: a restored snapshot or a clone");
            // Before the session is stored: that overwrites where the journal stood, and a server that died in between
            // would never notice again.
            self.disown(peer.machine, Epoch(after.0 + 1), after, journal, true, now).await?;
        }
        // Nobody came or was enrolled again in between, or there is no session.
        let opened = self.store.open_session(peer.machine, before.incarnation, after, &bounded(told), now).await?;
        let Some(number) = opened else { return Ok(None) };
        self.disown(peer.machine, number, number, journal, went_back, now).await?;
        let mut verdicts = Vec::with_capacity(listed.len());
        for item in listed {
            verdicts.push((item.action, self.verdict(peer.machine, item).await?));
        }
        Ok(Some(Session { number, verdicts }))
    }

    /// Ends the open actions whose grants this journal does not hold, or no longer knows of; none, once the machine's
    /// newest session is not `newest` any more: what it was heard to say since, this Hello could not know.
    async fn disown(
        &self,
        machine: MachineId,
        session: Epoch,
        newest: Epoch,
        journal: JournalSeen,
        went_back: bool,
        now: Timestamp,
    ) -> Result<(), ActionError> {
        let live = self.store.live_actions(machine).await?;
        let mut forgot = went_back;
        // One record that is missing is enough: whatever else this journal held may be missing too.
        for action in &live {
            forgot = forgot || self.knows_more(action, journal).await?;
        }
        for action in live {
            let Some(event) = hello::on_return(&action, session, newest, journal, forgot) else { continue };
            if self.decide(action.id, event, now).await?.changed {
                tracing::warn!(%machine, action = %action.id, "the journal that held the grant is gone");
            }
        }
        Ok(())
    }

    /// Whether this journal told us more of the action than it now holds. Kept in the action's own history, so that it is
    /// still known after a crash in the middle of a Hello.
    async fn knows_more(&self, action: &Action, journal: JournalSeen) -> Result<bool, ActionError> {
        if action.state.grant().is_none_or(|grant| grant.journal != journal.id) {
            return Ok(false);
        }
        let lines = self.store.history(action.id).await?;
        let told = lines.iter().filter_map(|stored| stored.line.fact).filter(|(id, _)| *id == journal.id);
        Ok(told.map(|(_, sequence)| sequence).max().is_some_and(|highest| highest > journal.sequence))
    }

    /// The machine's newest session; 0 before the first. `None`: there is no such machine.
    pub async fn newest_session(&self, machine: MachineId) -> Result<Option<Epoch>, ActionError> {
        Ok(self.store.machine(machine).await?.map(|machine| machine.session))
    }

    /// Whether this session is still the machine's newest.
    pub async fn is_newest(&self, machine: MachineId, session: Epoch) -> Result<bool, ActionError> {
        Ok(self.newest_session(machine).await? == Some(session))
    }

    async fn verdict(&self, machine: MachineId, listed: &Listed) -> Result<Verdict, ActionError> {
        let action = self.store.action(listed.action).await?.filter(|action| action.machine == machine);
        if action.is_none() {
            tracing::warn!(%machine, action = %listed.action, "the machine lists an action that is not its own");
        }
        Ok(hello::verdict(action.as_ref(), listed))
    }

    /// What is to be said to a machine now, in the order of the requests.
    pub async fn outstanding(&self, machine: MachineId, session: Epoch) -> Result<Vec<Outstanding>, ActionError> {
        Ok(hello::outstanding(&self.store.live_actions(machine).await?, session))
    }

    /// What of the actions that an agent holds was ended without it, and is to be stopped.
    pub async fn given_up(
        &self,
        machine: MachineId,
        held: impl IntoIterator<Item = ActionId>,
    ) -> Result<Vec<Outstanding>, ActionError> {
        let mut out = Vec::new();
        for id in held {
            let action = self.store.action(id).await?.filter(|action| action.machine == machine);
            out.extend(action.as_ref().and_then(hello::given_up));
        }
        Ok(out)
    }

    /// A machine asks to begin an action.
    pub async fn claim(
        &self,
        machine: MachineId,
        session: Epoch,
        id: ActionId,
        journal: JournalId,
        now: Timestamp,
    ) -> Result<Claimed, ActionError> {
        match self.store.action(id).await? {
            None => return Ok(Claimed::Gone),
            Some(action) if action.machine != machine => return Ok(Claimed::NotYours),
            Some(_) => {}
        }
        let decided = self.decide(id, Event::Claimed { session, journal }, now).await?;
        Ok(answer_claim(decided))
    }

    /// Keeps a machine's testimony. True: it need not be repeated.
    pub async fn report(
        &self,
        peer: Peer,
        id: ActionId,
        mut testimony: Testimony,
        now: Timestamp,
    ) -> Result<bool, ActionError> {
        let machine = peer.machine;
        if !self.is_current(peer).await? {
            tracing::warn!(%machine, action = %id, "testimony of an earlier enrolment: nothing is changed");
            return Ok(false);
        }
        match self.store.action(id).await? {
            Some(action) if action.machine == machine => {}
            Some(_) => {
                tracing::warn!(%machine, action = %id, "testimony about another machine's action: nothing is changed");
                return Ok(false);
            }
            None => {
                tracing::warn!(%machine, action = %id, "testimony about an unknown action");
                return Ok(true);
            }
        }
        shorten(&mut testimony);
        let decided = self.decide(id, Event::Reported(testimony), now).await?;
        if let Some(refusal) = &decided.refusal {
            tracing::warn!(%machine, action = %id, %refusal, "testimony refused: nothing is changed");
        }
        Ok(decided.tell == Tell::Acknowledge)
    }

    /// Notes a fact of the machine's journal in the action's history, if the grant is that journal's.
    pub async fn note_phase(
        &self,
        peer: Peer,
        id: ActionId,
        epoch: Epoch,
        fact: (JournalId, u64),
        at: Timestamp,
        what: String,
    ) -> Result<(), ActionError> {
        let machine = peer.machine;
        let action = if self.is_current(peer).await? { self.store.action(id).await? } else { None };
        let open = |action: &Action| action.stage().is_open() && holds(action, machine, epoch, fact.0);
        let Some(action) = action.filter(open) else {
            tracing::warn!(%machine, action = %id, "a phase of an action that is not granted to this journal now");
            return Ok(());
        };
        let what = cut(what);
        let line = Line { at, source: Source::Machine, what, stage: action.stage(), fact: Some(fact) };
        self.store.note(id, &[line]).await?;
        self.wake.changed(id);
        Ok(())
    }

    /// The content of a library file that an open action of this machine names; `None` otherwise.
    pub async fn library_content_for(&self, peer: Peer, sha256: &Digest) -> Result<Option<Vec<u8>>, ActionError> {
        if !self.is_current(peer).await? {
            return Ok(None);
        }
        let live = self.store.live_actions(peer.machine).await?;
        let names = |action: &Action| {
            let mut files = action.body.commands().iter().filter_map(|command| command.library());
            files.any(|file| file.sha256 == *sha256)
        };
        if !live.iter().any(|action| action.stage().is_open() && names(action)) {
            return Ok(None);
        }
        Ok(self.store.library_content(sha256).await?)
    }

    /// Whether this machine may hand in an artifact of this action's step now: only while the action is open.
    pub async fn takes_artifact(&self, peer: Peer, id: ActionId, step: u16) -> Result<bool, ActionError> {
        let action = if self.is_current(peer).await? { self.store.action(id).await? } else { None };
        let ours = |action: &Action| action.machine == peer.machine && step < action.body.steps();
        Ok(action.is_some_and(|action| ours(&action) && action.stage().is_open()))
    }

    /// The machine was heard of.
    pub async fn seen(&self, peer: Peer, now: Timestamp) -> Result<(), ActionError> {
        if self.is_current(peer).await? {
            self.store.seen(peer.machine, now).await?;
        }
        Ok(())
    }

    /// Whether this certificate still speaks for the machine that it names.
    async fn is_current(&self, peer: Peer) -> Result<bool, ActionError> {
        let machine = self.store.machine(peer.machine).await?;
        Ok(machine.is_some_and(|machine| hello::is_current(machine.incarnation, peer.incarnation)))
    }

    /// Wakes every machine that has something outstanding.
    pub async fn wake_outstanding(&self) -> Result<(), ActionError> {
        for machine in self.store.machines_with_live_actions().await? {
            self.wake.machine(machine);
        }
        Ok(())
    }
}

fn answer_claim(decided: Decided) -> Claimed {
    match (decided.busy, decided.tell) {
        (Some(Busy::OldSession), _) => Claimed::OldSession,
        (Some(Busy::Class), _) => Claimed::Busy,
        (None, Tell::Grant(grant)) => Claimed::Grant { epoch: grant.epoch, body: decided.action.body },
        (None, Tell::Abort(epoch)) => Claimed::Abort(epoch),
        _ => match decided.refusal {
            Some(refusal) if refusal.stage.is_open() => Claimed::OldSession,
            Some(refusal) if refusal.stage == Stage::Cancelled => Claimed::Cancelled,
            _ => Claimed::Gone,
        },
    }
}

fn holds(action: &Action, machine: MachineId, epoch: Epoch, journal: JournalId) -> bool {
    let grant = action.state.grant();
    action.machine == machine && grant.is_some_and(|grant| grant.epoch == epoch && grant.journal == journal)
}

/// The name that an artifact is kept under.
pub fn artifact_file_name(action: ActionId, step: u16, sha256: &Digest) -> String {
    format!("{}{sha256}", artifact_file_prefix(action, step))
}

/// What the names of all artifacts of a step begin with, and no others.
pub fn artifact_file_prefix(action: ActionId, step: u16) -> String {
    format!("{action}.{step}.")
}

/// What a machine tells of itself is kept, but not at any length.
fn bounded(told: &Told) -> Told {
    let mut told = told.clone();
    for text in [&mut told.os_platform, &mut told.os_version, &mut told.agent_version, &mut told.boot_id]
        .into_iter()
        .chain(&mut told.last_address)
    {
        *text = cut_to(std::mem::take(text), TOLD_BYTES_MAX);
    }
    told.kinds.truncate(TOLD_KINDS_MAX);
    told
}

/// A machine's words are kept, but not at any length.
fn shorten(testimony: &mut Testimony) {
    testimony.residue.truncate(RESIDUE_MAX);
    testimony.facts.truncate(FACTS_MAX);
    testimony.steps.truncate(COMMANDS_MAX);
    if let Ending::Broke { why } = &mut testimony.ending {
        *why = cut(std::mem::take(why));
    }
    for line in &mut testimony.residue {
        *line = cut(std::mem::take(line));
    }
    for fact in &mut testimony.facts {
        fact.what = cut(std::mem::take(&mut fact.what));
    }
    for step in &mut testimony.steps {
        if let Some(artifact) = &mut step.artifact {
            artifact.file_name = cut(std::mem::take(&mut artifact.file_name));
        }
        step.errors.truncate(STEP_ERRORS_MAX);
        for line in &mut step.errors {
            *line = cut(std::mem::take(line));
        }
    }
}

fn cut(text: String) -> String {
    cut_to(text, FACT_BYTES_MAX)
}

fn cut_to(mut text: String, bytes_max: usize) -> String {
    if text.len() > bytes_max {
        let mut end = bytes_max;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::kind::Kind;
    use domain::testimony::{Fact, StepReport};
    use uuid::Uuid;

    #[test]
    fn a_machine_s_words_have_an_end() {
        let long = || "é".repeat(10_000);
        let told = Told {
            os_platform: long(),
            os_version: long(),
            agent_version: long(),
            last_address: Some(long()),
            boot_id: long(),
            kinds: vec![Kind::Isolate; 1000],
            ..Told::default()
        };
        let told = bounded(&told);
        let texts = [&told.os_platform, &told.os_version, &told.agent_version, &told.boot_id];
        assert!(texts.into_iter().chain(&told.last_address).all(|text| text.len() <= TOLD_BYTES_MAX + '…'.len_utf8()));
        assert_eq!(told.kinds.len(), TOLD_KINDS_MAX);

        let fact = |sequence| Fact { sequence, at: Timestamp(0), what: long() };
        let mut testimony = Testimony {
            epoch: Epoch(1),
            journal: JournalId(Uuid::nil()),
            sequence: 1,
            ending: Ending::Broke { why: long() },
            steps: vec![StepReport { errors: vec![long(); 100], ..StepReport::created(0) }; 1000],
            residue: vec![long(); 1000],
            facts: (0..10_000).map(fact).collect(),
        };
        shorten(&mut testimony);
        assert_eq!((testimony.steps.len(), testimony.steps[0].errors.len()), (COMMANDS_MAX, STEP_ERRORS_MAX));
        assert_eq!((testimony.residue.len(), testimony.facts.len()), (RESIDUE_MAX, FACTS_MAX));
        assert!(testimony.residue.iter().all(|line| line.len() < 2 * FACT_BYTES_MAX));
        assert!(matches!(testimony.ending, Ending::Broke { why } if why.len() < 2 * FACT_BYTES_MAX));
    }
}

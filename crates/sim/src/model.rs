//! The world as a state machine: what can happen next, from any state.

mod agent;
mod crew;
mod elsewhere;
pub mod kept;
pub mod message;
pub mod rules;
mod server;
pub mod sights;
pub mod state;
pub mod step;

use domain::action::{Action, Body, Request, RequestSource};
use domain::command::{Command, LibraryRef};
use domain::grantee::Grantee;
use domain::kind::Scope;
use domain::{Digest, Timestamp};
use kept::Pool;
use message::{MACHINE, NOW, action_id, journal_id};
use state::{Disk, Link, Process, State};
use stateright::{Model, Property};
use step::Step;

/// How far the model goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Sessions that are ever opened.
    pub sessions: u8,
    /// Crashes of the agent.
    pub crashes: u8,
    /// Journals lost.
    pub wipes: u8,
    /// Journals set back in time, as by a restored snapshot, to before what the server last saw of them.
    pub rollbacks: u8,
    /// Tasks that end in an error.
    pub errors: u8,
    /// Undos that fail.
    pub undo_failures: u8,
    /// Claims of one action in one session.
    pub claims: u8,
    /// So many of the actions, from the first, may be cancelled.
    pub cancels: u8,
    /// So many of the actions, from the first, may run out of time.
    pub deadlines: u8,
    /// Looks of the sweep that are acted upon only later, when the action may have moved on.
    pub slow_sweeps: u8,
    /// Enrolments of the machine again under its own record; the agent of the earlier one may go on beside it.
    pub reenrolments: u8,
}

/// What is requested of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// One step that can be undone.
    Reversible,
    /// One step that cannot.
    Irreversible,
    /// A step that can be undone, then one that cannot.
    TwoSteps,
    /// Two actions that exclude each other.
    TwoActions,
}

/// The protocol between clients, replicas, store, network and one machine.
pub struct Protocol {
    bounds: Bounds,
    plan: Plan,
    with_sights: bool,
    rows: Pool<Vec<Action>>,
    disks: Pool<Disk>,
    processes: Pool<Process>,
    sent: Pool<Vec<message::Message>>,
    hosts: Pool<state::Host>,
}

/// The number of a first enrolment.
const FIRST: u8 = 1;

impl Plan {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Reversible, Self::Irreversible, Self::TwoSteps, Self::TwoActions];

    fn bodies(self) -> Vec<Body> {
        let file = LibraryRef { name: "file".into(), sha256: Digest([2; 32]), size_bytes: 1 };
        let put = Command::PutFile { file: file.clone() };
        let run = Command::RunScript { script: file, args: None };
        let isolate = Body::Isolate { scope: Scope::Full };
        match self {
            Self::Reversible => vec![isolate],
            Self::Irreversible => vec![Body::LiveResponse { commands: vec![run] }],
            Self::TwoSteps => vec![Body::LiveResponse { commands: vec![put, run] }],
            Self::TwoActions => vec![isolate, Body::Release],
        }
    }
}

impl Protocol {
    /// The protocol for this plan within these bounds; `with_sights`: also looks for what must be reached.
    pub fn new(plan: Plan, bounds: Bounds, with_sights: bool) -> Self {
        let (rows, disks, processes, sent) = (Pool::new(), Pool::new(), Pool::new(), Pool::new());
        Self { bounds, plan, with_sights, rows, disks, processes, sent, hosts: Pool::new() }
    }

    /// The bounds.
    pub fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// The one state in which everything begins: requested, the agent runs, nothing was ever said.
    pub fn first(&self) -> State {
        let request = |requestor: &str| Request {
            requestor: requestor.into(),
            comment: String::new(),
            source: RequestSource::PublicApi,
            external_id: None,
        };
        let bodies = self.plan.bodies().into_iter().enumerate();
        let rows = bodies.map(|(index, body)| {
            let mut row = Action::requested(action_id(index), MACHINE, body, request("client"), NOW);
            row.expires_at = Timestamp(NOW.0 + 1);
            row
        });
        let count = self.plan.bodies().len() as u8;
        let process = Process {
            grantee: Grantee::new(journal_id(0)),
            link: Link::Down,
            session: 0,
            jobs: vec![],
            stop: 0,
            began: 0,
            claims: Default::default(),
        };
        State {
            session: 0,
            incarnation: FIRST,
            seen: None,
            noticed: false,
            rows: self.rows.keep(rows.collect()),
            disk: self.disks.keep(Disk { journal: 0, entries: vec![] }),
            process: Some(self.processes.keep(process)),
            marks: Default::default(),
            enrolled: FIRST,
            elsewhere: None,
            // Offers are hints: anybody may forge them, and nothing may hang on them.
            sent: self.sent.keep((0..count).map(|action| message::Message::Offer { action }).collect()),
            shown: 0,
            accepted: 0,
            broken: 0,
            spent: Default::default(),
        }
    }

    /// Everything that can happen next. Nothing, once a rule is broken.
    pub fn next(&self, state: &State) -> Vec<(Step, State)> {
        let mut out = Vec::new();
        if state.broken != 0 {
            return out;
        }
        self.server_steps(state, &mut out);
        self.reenrol_steps(state, &mut out);
        self.host_steps(state, &mut out);
        self.steps_elsewhere(state, &mut out);
        for (_, next) in &mut out {
            rules::judge(next);
        }
        out.retain(|(_, next)| next != state);
        out
    }

    /// Everything that can happen on the host that is looked at, and between it and the server.
    fn host_steps(&self, state: &State, out: &mut Vec<(Step, State)>) {
        self.stream_steps(state, out);
        self.agent_steps(state, out);
        self.crew_steps(state, out);
    }
}

/// A step with the state it leads to: what happens is worked out once.
pub type Taken = (Step, Box<State>);

impl Model for Protocol {
    type State = State;
    type Action = Taken;

    fn init_states(&self) -> Vec<State> {
        vec![self.first()]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Taken>) {
        actions.extend(self.next(state).into_iter().map(|(step, next)| (step, Box::new(next))));
    }

    fn next_state(&self, _: &State, (_, next): Taken) -> Option<State> {
        Some(*next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        rules::properties(self.with_sights)
    }
}

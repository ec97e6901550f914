//! The clients: they request, cancel, ask again, and believe what they are shown.

use super::super::library::{FILES, SCRIPT};
use super::super::sights::Sight;
use super::{Ended, World};
use domain::action::{Action, Request, RequestSource};
use domain::ids::ActionId;
use domain::kind::Scope;
use domain::permission::{Permission, PermissionType};
use server::actions::{ActionError, Caller, NewAction, Origin, Requested, Wanted, WantedCommand};
use server::clock::Clock as _;

/// The most commands of a live response.
const COMMANDS_MAX: usize = 3;

impl World {
    /// A caller who may do everything.
    pub(super) fn caller() -> Caller {
        let permissions = vec![
            Permission::MachineReadAll,
            Permission::MachineIsolate,
            Permission::MachineLiveResponse,
            Permission::LibraryManage,
        ];
        let (permission_type, origin) = (PermissionType::Application, Origin::default());
        Caller { name: "responder".into(), through: None, permission_type, permissions, origin }
    }

    /// A client requests something of some machine.
    pub(super) fn request_any(&mut self, replica: usize) {
        let (machine, wanted) = {
            let mut dice = self.ground.dice();
            let machine = dice.index(self.hosts.len());
            let wanted = match dice.index(5) {
                0 | 1 => Wanted::Isolate(Scope::Full),
                2 => Wanted::Release,
                _ => {
                    let count = 1 + dice.index(COMMANDS_MAX);
                    let command = |_| match dice.index(4) {
                        0 => WantedCommand::PutFile(FILES[dice.index(FILES.len())].into()),
                        1 => WantedCommand::GetFile("/var/log/syslog".into()),
                        _ => WantedCommand::RunScript(SCRIPT.into(), None),
                    };
                    Wanted::LiveResponse((0..count).map(command).collect())
                }
            };
            (machine, wanted)
        };
        self.request(replica, machine, wanted);
    }

    /// A client requests this.
    pub(super) fn request(&mut self, replica: usize, machine: usize, wanted: Wanted) {
        let Some(at) = &self.replicas[replica] else { return };
        let (actions, now, random) = (at.actions.clone(), at.clock.now(), self.ground.dice().bytes());
        let new = NewAction {
            machine: self.hosts[machine].id.to_string(),
            wanted,
            request: Request {
                requestor: "responder".into(),
                comment: "case 7".into(),
                source: RequestSource::PublicApi,
                external_id: None,
            },
            key: None,
        };
        self.begin(
            replica,
            format!("a client requests {} on m{}", words(&new.wanted), machine + 1),
            None,
            async move { Ended::Requested(actions.request(&Self::caller(), new, now, random).await.map(Requested::action)) },
        );
    }

    pub(super) fn was_requested(&mut self, result: Result<Action, ActionError>) {
        match result {
            Ok(action) => {
                self.ground.judge().shown(&action);
                self.requested.push(action.id);
            }
            // It may be on record all the same, as a client learns by asking.
            Err(error) => self.ground.note(|| format!("the request is answered: {error}")),
        }
    }

    /// A client asks for a cancel.
    pub(super) fn cancel(&mut self, replica: usize, id: ActionId) {
        let Some(at) = &self.replicas[replica] else { return };
        let (actions, now) = (at.actions.clone(), at.clock.now());
        let comment = format!("try {}", self.steps);
        let name = self.ground.judge().name(id);
        self.begin(replica, format!("a client cancels {name}"), Some(id), async move {
            Ended::Cancelled(id, actions.cancel(&Self::caller(), &id.to_string(), comment, now).await)
        });
    }

    pub(super) fn was_cancelled(&mut self, id: ActionId, result: Result<Action, ActionError>) {
        let mut judge = self.ground.judge();
        let name = judge.name(id);
        let said = match &result {
            Ok(action) => {
                judge.accepted(action);
                format!("accepted, it is {}", action.stage())
            }
            Err(ActionError::Refused(_)) => {
                judge.sights.see(Sight::CancelRefused);
                judge.refused(id);
                "refused, it has ended".into()
            }
            Err(error) => error.to_string(),
        };
        drop(judge);
        self.ground.note(|| format!("the cancel of {name} is answered: {said}"));
    }

    /// A client looks at an action.
    pub(super) fn read(&mut self, replica: usize, id: ActionId) {
        let Some(at) = &self.replicas[replica] else { return };
        let actions = at.actions.clone();
        let name = self.ground.judge().name(id);
        self.begin(replica, format!("a client looks at {name}"), None, async move {
            Ended::Read(actions.action(&Self::caller(), &id.to_string()).await)
        });
    }

    pub(super) fn was_read(&mut self, result: Result<Action, ActionError>) {
        if let Ok(action) = result {
            self.ground.judge().shown(&action);
        }
    }
}

fn words(wanted: &Wanted) -> String {
    match wanted {
        Wanted::Isolate(_) => "isolation".into(),
        Wanted::Release => "release".into(),
        Wanted::LiveResponse(commands) => {
            let word = |command: &WantedCommand| match command {
                WantedCommand::PutFile(name) => format!("put {name}"),
                WantedCommand::RunScript(..) => "a script".into(),
                WantedCommand::GetFile(_) => "get a file".into(),
            };
            commands.iter().map(word).collect::<Vec<_>>().join(", ")
        }
        other => other.kind().row().wire.into(),
    }
}

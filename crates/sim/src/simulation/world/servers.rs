//! The replicas: production use cases and talks, one step at a time.

use super::super::ground::lock;
use super::super::rules::Rule;
use super::super::sights::Sight;
use super::{Ended, ServerEnd, UseCase, World};
use agent::worker::Outgoing;
use domain::ids::ActionId;
use protocol::agent::{ToServer, decode};
use server::actions::Peer;
use server::agent_link::talk::{Said, Talk, TalkError};
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// The longest silence of a machine before its open actions are given up, in seconds: the default.
pub(super) const HORIZON_SECONDS: i64 = 72 * 3600;

/// How many overdue actions one pass ends.
const EXPIRED_PER_PASS_MAX: u32 = 1000;

impl World {
    /// A use case begins; nothing of it is done yet.
    pub(super) fn begin(
        &mut self,
        replica: usize,
        what: String,
        about: Option<ActionId>,
        future: impl Future<Output = Ended> + 'static,
    ) {
        self.use_cases_ever += 1;
        let (number, future) = (self.use_cases_ever, Box::pin(future));
        self.use_cases.push(UseCase { number, replica, speaks_for: None, what, about, future });
    }

    /// As [`World::begin`], for what a machine asks for.
    pub(super) fn begin_for(
        &mut self,
        peer: Peer,
        replica: usize,
        what: String,
        future: impl Future<Output = Ended> + 'static,
    ) {
        self.begin(replica, what, None, future);
        if let Some(use_case) = self.use_cases.last_mut() {
            use_case.speaks_for = Some((peer.machine, peer.incarnation));
        }
    }

    fn peer(&self, number: u32) -> Option<Peer> {
        let stream = self.streams.iter().find(|stream| stream.number == number)?;
        Some(Peer { machine: self.hosts[stream.machine].id, incarnation: stream.incarnation })
    }

    /// A use case goes on up to its next call of the store.
    pub(super) fn use_case_goes_on(&mut self, index: usize) {
        let use_case = &mut self.use_cases[index];
        {
            let mut judge = self.ground.judge();
            (judge.about, judge.speaks_for) = (use_case.about, use_case.speaks_for);
            judge.use_case = use_case.number;
        }
        let (ground, future) = (Arc::clone(&self.ground), &mut use_case.future);
        let polled = catch_unwind(AssertUnwindSafe(|| {
            super::super::engine::wait(poll_fn(|context| match future.as_mut().poll(context) {
                Poll::Ready(ended) => Poll::Ready(Some(ended)),
                // It waits for its turn; otherwise for the engine, which wakes it.
                Poll::Pending if ground.has_given_way() => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            }))
        }));
        {
            let mut judge = self.ground.judge();
            (judge.about, judge.speaks_for) = (None, None);
        }
        match polled {
            Ok(None) => {}
            Ok(Some(ended)) => {
                let use_case = self.use_cases.remove(index);
                self.ended(use_case.replica, ended);
            }
            Err(_) => {
                self.use_cases.remove(index);
                self.ground.judge().breaks(Rule::NothingImpossibleIsTried, "a use case panics".into());
            }
        }
    }

    fn ended(&mut self, replica: usize, ended: Ended) {
        match ended {
            Ended::Requested(result) => self.was_requested(result),
            Ended::Cancelled(action, result) => self.was_cancelled(action, result),
            Ended::Read(result) => self.was_read(result),
            Ended::Accepted(stream, Ok(first)) => {
                if let Some(stream) = self.stream(stream) {
                    stream.server = ServerEnd::Fresh;
                }
                self.send_down(stream, &first);
            }
            Ended::Accepted(stream, Err(error)) => {
                self.ground.note(|| format!("s{stream}: {error}"));
                self.server_leaves(stream);
            }
            Ended::Opened(stream, Ok((talk, welcome))) => {
                self.opened(replica, stream, talk, &welcome);
            }
            Ended::Opened(stream, Err(error)) => {
                if matches!(error, TalkError::Refused(why) if why.ends_with("another session was opened")) {
                    self.ground.judge().sights.see(Sight::LateHello);
                }
                self.ground.note(|| format!("s{stream}: {error}"));
                self.server_leaves(stream);
            }
            Ended::Said(stream, Ok(said)) => self.said(stream, said),
            Ended::Said(stream, Err(error)) => {
                self.ground.note(|| format!("s{stream}: {error}"));
                self.server_leaves(stream);
            }
            Ended::EnrolledAgain(machine, result) => self.enrolled_again(machine, result),
            Ended::HandedIn { machine, stream, outgoing, taken } => self.handed_in(machine, stream, outgoing, taken),
            Ended::Nothing => {}
        }
    }

    fn opened(&mut self, replica: usize, number: u32, talk: Talk, welcome: &protocol::agent::ToAgent) {
        let Some(replica) = &self.replicas[replica] else { return };
        let notify = replica.wake.stream(talk.machine(), talk.session());
        let talk = Arc::new(talk);
        if let Some(stream) = self.stream(number) {
            stream.server = ServerEnd::Talks { talk, notify, busy: false };
        }
        self.send_down(number, welcome);
        self.talk(number, "says what is outstanding", |talk| async move { talk.outstanding().await });
    }

    fn said(&mut self, number: u32, said: Said) {
        for message in &said.messages {
            self.send_down(number, message);
        }
        match (said.ends, self.stream(number)) {
            (Some(why), _) => {
                self.ground.note(|| format!("s{number}: {why}"));
                self.server_leaves(number);
            }
            (None, Some(stream)) => {
                if let ServerEnd::Talks { busy, .. } = &mut stream.server {
                    *busy = false;
                }
            }
            (None, None) => {}
        }
    }

    /// A part of a stream's talk begins.
    pub(super) fn talk<F>(&mut self, number: u32, what: &str, part: impl FnOnce(Arc<Talk>) -> F)
    where
        F: Future<Output = Result<Said, TalkError>> + 'static,
    {
        let (Some(peer), Some(stream)) = (self.peer(number), self.stream(number)) else { return };
        let replica = stream.replica;
        let ServerEnd::Talks { talk, busy, .. } = &mut stream.server else { return };
        *busy = true;
        let part = part(Arc::clone(talk));
        self.begin_for(peer, replica, format!("s{number} {what}"), async move { Ended::Said(number, part.await) });
    }

    /// The server reads a stream: a message, or that it is closed.
    pub(super) fn server_reads(&mut self, number: u32) {
        let Some(stream) = self.stream(number) else { return };
        let (replica, half_open) = (stream.replica, !stream.agent_has_it);
        let Some(frame) = stream.up.pop_front() else { return self.server_leaves(number) };
        let Ok(message) = decode::<ToServer>(&frame) else { return };
        if half_open {
            self.ground.judge().sights.see(Sight::HalfOpen);
        }
        let (Some(peer), Some(stream)) = (self.peer(number), self.stream(number)) else { return };
        if !matches!(stream.server, ServerEnd::Fresh) {
            return self.talk(number, "hears", |talk| async move { talk.heard(message).await });
        }
        stream.server = ServerEnd::Opening;
        let Some(desk) = self.replicas[replica].as_ref().map(|replica| replica.desk.clone()) else { return };
        self.begin_for(peer, replica, format!("s{number} answers Hello"), async move {
            Ended::Opened(number, Talk::open(desk, peer, None, message).await)
        });
    }

    /// A replica says the first word on a stream.
    pub(super) fn accept(&mut self, number: u32) {
        let (Some(peer), Some(stream)) = (self.peer(number), self.stream(number)) else { return };
        let replica = stream.replica;
        let Some(desk) = self.replicas[replica].as_ref().map(|replica| replica.desk.clone()) else { return };
        self.begin_for(peer, replica, format!("s{number} is accepted"), async move {
            Ended::Accepted(number, Talk::first_word(&desk, peer).await)
        });
    }

    /// Looks whose talks were woken.
    pub(super) fn wakes_arrive(&mut self) {
        for stream in &mut self.streams {
            let ServerEnd::Talks { notify, .. } = &stream.server else { continue };
            let notified = pin!(notify.notified());
            stream.is_woken |= notified.poll(&mut Context::from_waker(Waker::noop())).is_ready();
        }
    }

    /// The sweep of a replica.
    pub(super) fn sweep(&mut self, replica: usize) {
        let Some(actions) = self.replicas[replica].as_ref().map(|replica| replica.actions.clone()) else { return };
        self.begin(replica, "sweeps".into(), None, async move {
            let _ = actions.wake_outstanding().await;
            Ended::Nothing
        });
    }

    /// A replica ends what is overdue.
    pub(super) fn expire(&mut self, replica: usize) {
        let Some(at) = &self.replicas[replica] else { return };
        let (actions, now) = (at.actions.clone(), at.clock.shows());
        self.begin(replica, "ends what is overdue".into(), None, async move {
            let _ = actions.expire(now, now.plus_seconds(-HORIZON_SECONDS), EXPIRED_PER_PASS_MAX).await;
            Ended::Nothing
        });
    }

    /// An artifact is handed in, and then what waits for it is said.
    pub(super) fn hand_in(&mut self, machine: usize, replica: usize) {
        let Some(agent) = &mut self.hosts[machine].agent else { return };
        let incarnation = agent.incarnation;
        let Some(hand_in) = agent.hand_ins.iter_mut().find(|hand_in| hand_in.at.is_none()) else { return };
        let (stream, outgoing) = (hand_in.stream, hand_in.outgoing.clone());
        let Some(actions) = self.replicas[replica].as_ref().map(|replica| replica.actions.clone()) else { return };
        hand_in.at = Some(replica);
        let peer = Peer { machine: self.hosts[machine].id, incarnation };
        self.begin_for(peer, replica, format!("takes artifacts of m{}", machine + 1), async move {
            let ToServer::Final { action, .. } = &outgoing.message else { return Ended::Nothing };
            let mut taken = true;
            for step in &outgoing.artifacts {
                taken &= actions.takes_artifact(peer, *action, *step).await.is_ok();
            }
            Ended::HandedIn { machine, stream, outgoing, taken }
        });
    }

    fn handed_in(&mut self, machine: usize, stream: u32, outgoing: Outgoing, taken: bool) {
        let Some(agent) = &mut self.hosts[machine].agent else { return };
        let Some(place) = agent
            .hand_ins
            .iter()
            .position(|hand_in| hand_in.stream == stream && hand_in.outgoing.message == outgoing.message)
        else {
            return;
        };
        if !taken {
            // It is tried again.
            agent.hand_ins[place].at = None;
            return;
        }
        agent.hand_ins.remove(place);
        if agent.link == super::Link::Open(stream) {
            self.send_up(stream, &outgoing.message);
        }
    }

    /// A replica dies: what it had under way is gone, its streams are closed.
    pub(super) fn replica_dies(&mut self, replica: usize) {
        if self.use_cases.iter().any(|use_case| use_case.replica == replica) {
            self.ground.judge().sights.see(Sight::ReplicaDied);
        }
        self.use_cases.retain(|use_case| use_case.replica != replica);
        self.replicas[replica] = None;
        for hand_in in self.hosts.iter_mut().flat_map(|host| &mut host.agent).flat_map(|agent| &mut agent.hand_ins) {
            // An upload that broke off is made anew.
            hand_in.at = hand_in.at.filter(|at| *at != replica);
        }
        let its = self.streams.iter().filter(|stream| stream.replica == replica).map(|stream| stream.number);
        for number in its.collect::<Vec<u32>>() {
            self.cut(number);
            self.server_leaves(number);
        }
    }

    /// Whether the agent's machine reaches the server.
    pub(super) fn reaches_server(&self, machine: usize) -> bool {
        lock(&self.hosts[machine].site).reaches_server()
    }
}

//! The network: streams that keep their order, and nothing else. What is under way comes late, or is cut off.

use super::super::ground::lock;
use super::super::sights::Sight;
use super::{Link, ServerEnd, Stream, World};
use agent::worker::Event;
use protocol::agent::{ToAgent, ToServer, decode, encode};
use std::collections::VecDeque;

impl World {
    pub(super) fn new_stream(&mut self, machine: usize, replica: usize) -> u32 {
        self.streams_ever += 1;
        let incarnation = self.hosts[machine].agent.as_ref().map_or(0, |agent| agent.incarnation);
        self.streams.push(Stream {
            number: self.streams_ever,
            machine,
            incarnation,
            replica,
            up: VecDeque::new(),
            down: VecDeque::new(),
            is_cut: false,
            is_woken: false,
            agent_has_it: true,
            server: ServerEnd::Accepting,
        });
        self.streams_ever
    }

    pub(super) fn stream(&mut self, number: u32) -> Option<&mut Stream> {
        self.streams.iter_mut().find(|stream| stream.number == number)
    }

    /// A message on its way up; on a stream that is cut it is lost.
    pub(super) fn send_up(&mut self, number: u32, message: &ToServer) {
        let fails = self.ground.fails(super::super::ground::Place::Link, up_word(message));
        let frame = Self::frame(message);
        let Some(stream) = self.stream(number) else { return };
        if !stream.is_cut
            && !matches!(stream.server, ServerEnd::Gone)
            && fails != Some(super::super::ground::Side::Before)
        {
            stream.up.push_back(frame);
        }
        if fails.is_some() {
            stream.is_cut = true;
        }
    }

    /// A message on its way down.
    pub(super) fn send_down(&mut self, number: u32, message: &ToAgent) {
        let fails = self.ground.fails(super::super::ground::Place::Link, down_word(message));
        let frame = encode(message).unwrap_or_default();
        let Some(stream) = self.stream(number) else { return };
        if !stream.is_cut && stream.agent_has_it && fails != Some(super::super::ground::Side::Before) {
            stream.down.push_back(frame);
        }
        if fails.is_some() {
            stream.is_cut = true;
        }
    }

    /// The stream is cut: of what is under way in each direction, some still arrives.
    pub(super) fn cut(&mut self, number: u32) {
        let ground = std::sync::Arc::clone(&self.ground);
        if let Some(stream) = self.stream(number) {
            stream.is_cut = true;
            let mut dice = ground.dice();
            stream.up.truncate(dice.index(stream.up.len() + 1));
            stream.down.truncate(dice.index(stream.down.len() + 1));
        }
    }

    /// The agent's end is closed. What it said is still under way.
    pub(super) fn agent_leaves(&mut self, number: u32) {
        if let Some(stream) = self.stream(number) {
            stream.agent_has_it = false;
            stream.down.clear();
        }
        self.sweep_streams();
    }

    /// The server's end is closed. What it said is still under way.
    pub(super) fn server_leaves(&mut self, number: u32) {
        let Some(position) = self.streams.iter().position(|stream| stream.number == number) else { return };
        let stream = &mut self.streams[position];
        stream.up.clear();
        if let ServerEnd::Talks { talk, notify, .. } = std::mem::replace(&mut stream.server, ServerEnd::Gone)
            && let Some(replica) = &self.replicas[stream.replica]
        {
            replica.wake.gone(talk.machine(), &notify);
        }
        self.sweep_streams();
    }

    fn sweep_streams(&mut self) {
        self.streams.retain(|stream| stream.agent_has_it || !matches!(stream.server, ServerEnd::Gone));
    }

    /// The agent reads its stream: a message, or that it is closed.
    pub(super) fn agent_reads(&mut self, number: u32) {
        let Some(stream) = self.stream(number) else { return };
        let machine = stream.machine;
        let Some(frame) = stream.down.pop_front() else { return self.lost(machine, number) };
        let Ok(message) = decode::<ToAgent>(&frame) else { return };
        let Some(agent) = &mut self.hosts[machine].agent else { return };
        match (agent.link, &message) {
            (Link::Dialled(dialled), ToAgent::Newest { session }) if dialled == number => {
                self.say_hello(machine, number, *session);
            }
            (Link::Dialled(dialled), ToAgent::Welcome(_)) if dialled == number => {
                agent.link = Link::Open(number);
                lock(&self.hosts[machine].site).in_session = true;
                self.handle(machine, Event::Heard(Box::new(message)));
            }
            (Link::Open(open), _) if open == number => {
                self.see(machine, &message);
                self.handle(machine, Event::Heard(Box::new(message)));
            }
            // The server did not begin as it must.
            _ => self.lost(machine, number),
        }
    }

    fn see(&self, machine: usize, message: &ToAgent) {
        let Some(agent) = &self.hosts[machine].agent else { return };
        match message {
            ToAgent::Abort { action, .. } if agent.worker.grantee().held(*action).is_none() => {
                self.ground.judge().sights.see(Sight::AbortOvertookGrant);
            }
            ToAgent::Offer { .. } if lock(&self.hosts[machine].site).disk.is_full => {
                self.ground.judge().sights.see(Sight::NoRoomNoClaim);
            }
            _ => {}
        }
    }

    /// The agent has lost its stream.
    pub(super) fn lost(&mut self, machine: usize, number: u32) {
        self.agent_leaves(number);
        if let Some(agent) = &mut self.hosts[machine].agent {
            agent.link = Link::Down;
            agent.hand_ins.clear();
            lock(&self.hosts[machine].site).in_session = false;
            self.handle(machine, Event::Lost);
        }
    }
}

/// A message in the film.
pub(super) fn up_word(message: &ToServer) -> &'static str {
    match message {
        ToServer::Hello(_) => "Hello",
        ToServer::Claim { .. } => "Claim",
        ToServer::Phase { .. } => "Phase",
        ToServer::Final { .. } => "Final",
    }
}

/// A message in the film.
pub(super) fn down_word(message: &ToAgent) -> &'static str {
    match message {
        ToAgent::Welcome(_) => "Welcome",
        ToAgent::Offer { .. } => "Offer",
        ToAgent::Grant(_) => "Grant",
        ToAgent::Deny { .. } => "Deny",
        ToAgent::Abort { .. } => "Abort",
        ToAgent::FinalAck { .. } => "FinalAck",
        ToAgent::Newest { .. } => "Newest",
    }
}

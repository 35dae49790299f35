//! The breakers and limits as planning asks them: which server may get a call now.

use super::super::calls;
use super::super::shared_data::EnvoySharedData;
use super::super::vm::Vm;
use crate::breaker::{Admission, Look, Mode, Moment, Ticket};
use crate::call::admission::Breakers;
use crate::call::story::Skip;
use crate::drill::Orders;
use crate::registry::{ProberPlacement, ServerIndex, ServerKind};
use crate::runtime::Hand;

/// The breakers of a VM at one moment.
pub struct BreakersAt<'v> {
    /// The VM.
    pub vm: &'v Vm,
    /// The time, monotonic ms.
    pub now: u64,
    /// A random number.
    pub random: u32,
    /// Whether the call may be executed twice.
    pub replayable: bool,
    /// The servers that are not asked: their breakers are only looked at.
    pub drill: &'v Orders,
    /// The server that the call goes to although its breaker refuses.
    pub last_resort: Option<ServerIndex>,
}

impl BreakersAt<'_> {
    /// One random number does for all servers of a call, as long as it is not the same for each.
    fn moment(&self, server: ServerIndex) -> Moment {
        let random = self.random.wrapping_add(u32::from(server.0).wrapping_mul(0x9E37_79B9));
        Moment { now_ms: self.now, random }
    }

    /// Whether the call may be the server's probe. One that must not be repeated is not risked on a server that may still
    /// be down, unless nobody else finds out.
    fn may_probe(&self, server: ServerIndex) -> bool {
        let registry = &self.vm.registry;
        let prober = registry.envoy.prober != ProberPlacement::Off;
        self.replayable || !prober || registry.server(server).is_none_or(|server| server.probe.is_none())
    }
}

/// What there is to see of a server that the registry does not have.
const NOWHERE: Look =
    Look { admits: false, pass_over: false, ticket: Ticket { epoch: 0, lease: None, last_resort: false } };

impl Breakers for BreakersAt<'_> {
    fn hand(&self, server: ServerIndex) -> Hand {
        self.vm.hand_of(server)
    }

    fn barred(&mut self, server: ServerIndex) -> Option<Skip> {
        let mode = self.vm.with_breaker(server, |breaker, _| breaker.policy().mode);
        if mode.is_none_or(|mode| mode == Mode::ForcedOpen) {
            return Some(Skip::ForcedOpen);
        }
        self.vm.credentials.is_missing(&EnvoySharedData, server, self.now).then_some(Skip::NoCredential)
    }

    fn may_accept_again(&mut self, server: ServerIndex) -> bool {
        self.vm.credentials.may_work_again(server, self.now)
    }

    fn translates(&mut self, server: ServerIndex) -> bool {
        self.vm.registry.server(server).is_some_and(|server| server.kind == ServerKind::Rest)
    }

    fn is_full(&mut self, server: ServerIndex) -> bool {
        let most = self.vm.registry.server(server).and_then(|server| server.most_calls);
        most.is_some_and(|most| calls::at(self.vm, server) >= most as usize)
    }

    fn is_over_limit(&mut self, server: ServerIndex) -> bool {
        let limit = self.vm.limits.get(server).filter(|_| self.drill.class_of(server).is_none());
        let full = limit.filter(|limit| limit.is_full());
        full.inspect(|limit| limit.count_over()).is_some()
    }

    fn admit(&mut self, server: ServerIndex) -> Look {
        if self.drill.class_of(server).is_some() || !self.may_probe(server) {
            return self.look(server);
        }
        let moment = self.moment(server);
        let asked = self.vm.with_breaker(server, |breaker, shared| breaker.admit(shared, moment));
        let (look, transition) = match asked {
            Some(Admission::Admit { ticket, pass_over, transition, .. }) => {
                (Look { admits: true, pass_over, ticket }, transition)
            }
            Some(Admission::Refuse { transition, .. }) => (NOWHERE, transition),
            None => (NOWHERE, None),
        };
        if let Some(transition) = transition {
            self.vm.announce(server, &transition, None);
        }
        look
    }

    fn look(&mut self, server: ServerIndex) -> Look {
        let moment = self.moment(server);
        self.vm.with_breaker(server, |breaker, shared| breaker.look(shared, moment)).unwrap_or(NOWHERE)
    }

    fn last_resort(&mut self, server: ServerIndex) -> Option<Ticket> {
        if self.drill.class_of(server).is_some() {
            return Some(self.look(server).ticket);
        }
        let moment = self.moment(server);
        let ticket = self.vm.with_breaker(server, |breaker, _| breaker.admit_last_resort(moment))?.ok();
        self.last_resort = ticket.map(|_| server);
        ticket
    }

    fn diverted(&mut self, server: ServerIndex) {
        self.vm.with_breaker(server, |breaker, _| breaker.note_diverted());
    }
}

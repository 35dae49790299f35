//! The call that an attempt is one of: found in this VM's memory, or read from where its gate has written it down.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::super::metrics::Metric;
use super::super::vm::Vm;
use super::super::{calls, clock, crossing};
use super::Site;
use crate::call::attempt::Scene;
use crate::call::message::is_limited;
use crate::call::{Call, handover};
use crate::concurrency::UnderWay;
use crate::failure::{Basis, Class, Verdict};
use crate::registry::{Server, ServerIndex};
use crate::telemetry::Name;
use crate::usage::Used;

/// A call, seen from one server.
pub struct Flown {
    /// The state of the VM under the registry that the server's facts come from.
    pub vm: Rc<Vm>,
    /// The server.
    pub at: ServerIndex,
    /// The call.
    pub call: Rc<RefCell<Call>>,
    number: u64,
    /// Whether what happens to the call has to be written down for others.
    is_written: bool,
    /// When the event came that was handled last.
    now_ms: Cell<u64>,
}

impl Flown {
    /// The call that filter state names, seen from `site`; `None` if it can't be had.
    pub fn find(bytes: &[u8], site: &Site) -> Option<Self> {
        let found = handover::read(bytes)?;
        let (number, is_written) = (found.number, found.written.is_some());
        let Some(live) = calls::find(number) else {
            // Its gate is of another module, or of another registry that has a VM of its own.
            let (vm, at) = site.best()?;
            let call = found.call(&vm.registry);
            if call.is_none() {
                crossing::demand(clock::now_ms());
            }
            let call = Rc::new(RefCell::new(call?));
            return Some(Flown { vm, at, call, number, is_written, now_ms: Cell::default() });
        };
        if let Some(newer) = found.call(&live.vm.registry) {
            live.call.borrow_mut().catch_up(newer);
        }
        let (vm, at) = if live.vm.identity == site.identity {
            let at = live.vm.registry.server_by_id(site.server.as_str()).map(|(at, _)| at)?;
            (live.vm, at)
        } else {
            // The cluster is of another registry than the gate: what that says of its server counts here.
            site.best()?
        };
        Some(Flown { vm, at, call: live.call, number, is_written, now_ms: Cell::default() })
    }

    /// The live call of this number, seen from the server that it is on its way to.
    pub fn ahead(bytes: &[u8]) -> Option<Self> {
        let found = handover::read(bytes)?;
        let (number, is_written) = (found.number, found.written.is_some());
        let live = calls::find(number)?;
        let at = live.call.borrow().flight.ahead()?.index?;
        Some(Flown { vm: live.vm, at, call: live.call, number, is_written, now_ms: Cell::default() })
    }

    /// Whether the gate works under the same registry, so that positions mean the same to both and nothing is written down.
    fn is_at_home(&self) -> bool {
        !self.is_written && Rc::ptr_eq(&self.call.borrow().registry, &self.vm.registry)
    }

    /// Whether an attempt that ended so is to be counted once the router has proved what became of it.
    pub fn counts_later(&self, verdict: Verdict) -> bool {
        let is_open = verdict.class == Class::Lost && verdict.basis == Basis::Transport;
        is_open && self.is_at_home() && self.call.borrow_mut().flight.count_later()
    }

    /// Counts the attempt before this one, of which the router has proved now that it was never sent.
    pub fn count_proved(&self) {
        if !self.is_at_home() {
            return;
        }
        if let Some((at, class)) = self.call.borrow_mut().flight.take_uncounted() {
            self.vm.metrics.count(Metric::Attempts(self.vm.names.server(at), class));
        }
    }

    /// Counts what an answer says that it took, and what that costs: by the prices of its models, else by the server's price of a
    /// call.
    pub fn count_used(&self, used: &[Used], class: Class) {
        let per_call = self.server().and_then(|server| server.price).filter(|_| class == Class::Success);
        if used.is_empty() && per_call.is_none() {
            return;
        }
        let mut call = self.call.borrow_mut();
        if !is_limited(call.kind, call.task) {
            return;
        }
        let (vm, task) = (&self.vm, call.task.name(&self.vm.names));
        let mut is_priced = false;
        for one in used {
            let price = vm.registry.prices.of(one.model.as_deref());
            let model = price.map_or(Name::OTHER, |(at, _)| vm.names.model(at));
            let micros = price.map(|(_, price)| price.micros(one));
            vm.metrics.add(Metric::Tokens(task, model, "input"), one.input);
            vm.metrics.add(Metric::Tokens(task, model, "output"), one.output);
            if let Some(micros) = micros {
                is_priced = true;
                vm.metrics.add(Metric::Credits(task, model), micros);
            }
            call.ledger.iter_mut().for_each(|ledger| ledger.take(one, micros));
        }
        if let Some(price) = per_call.filter(|_| !is_priced) {
            vm.metrics.add(Metric::Credits(task, Name::OTHER), price.micros());
            call.ledger.iter_mut().for_each(|ledger| ledger.pay(price.micros()));
        }
    }

    /// The server.
    pub fn server(&self) -> Option<&Server> {
        self.vm.registry.server(self.at)
    }

    /// Counts the call among those that the server has under way, if it has a limit.
    pub fn enter(&self) -> Option<UnderWay> {
        let limit = self.vm.limits.get(self.at)?;
        let call = self.call.borrow();
        is_limited(call.kind, call.task).then(|| limit.enter())
    }

    /// Whether clients alone authenticate with the server, by tokens of their own.
    pub fn knows_only_clients(&self) -> bool {
        self.server().is_some_and(|server| self.vm.registry.knows_only_clients(server))
    }

    /// When the event came that was handled last, on the monotonic clock, in ms.
    pub fn now_ms(&self) -> u64 {
        self.now_ms.get()
    }

    /// Handles an event of the attempt. What follows from it for the call is there for everybody when this returns.
    pub fn with_scene<T: Default>(&self, work: impl FnOnce(&mut Scene<'_>) -> T) -> T {
        let Some(server) = self.server() else { return T::default() };
        let mut call = self.call.borrow_mut();
        let mut budget = self.vm.budget.borrow_mut();
        self.now_ms.set(clock::now_ms());
        let done = work(&mut Scene {
            call: &mut call,
            registry: &self.vm.registry,
            index: self.at,
            server,
            budget: &mut budget,
            held: &self.vm.held,
            now_ms: self.now_ms.get(),
            wall_ms: &|| u64::try_from(clock::wall_time().as_millis()).unwrap_or(u64::MAX),
        });
        if self.is_written {
            calls::write_down(self.number, &call);
        }
        done
    }
}

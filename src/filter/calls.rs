//! The live calls of this VM. The gate enters a call and takes it out at its end; the attempts find it by its number, which
//! filter state carries. An entry is used again, its number never: the upper half counts how often it was.

use std::cell::RefCell;
use std::rc::Rc;

use super::host;
use super::vm::Vm;
use crate::call::{Call, Session, handover};
use crate::jsonrpc::OwnedId;
use crate::registry::ServerIndex;
use crate::wiring::state;

/// A live call.
#[derive(Clone)]
pub struct Live {
    /// The state of the VM under the registry that the call was planned with.
    pub vm: Rc<Vm>,
    /// The call.
    pub call: Rc<RefCell<Call>>,
}

#[derive(Default)]
struct Calls {
    entries: Vec<Row>,
    free: Vec<u32>,
}

#[derive(Default)]
struct Row {
    turn: u32,
    live: Option<Live>,
}

thread_local! {
    static CALLS: RefCell<Calls> = RefCell::default();
}

/// Enters a call and gives it its number.
pub fn enter(vm: Rc<Vm>, call: Rc<RefCell<Call>>) -> u64 {
    CALLS.with_borrow_mut(|calls| {
        let at = calls.free.pop().unwrap_or_else(|| {
            calls.entries.push(Row::default());
            u32::try_from(calls.entries.len()).unwrap_or(u32::MAX).saturating_sub(1)
        });
        let Some(entry) = calls.entries.get_mut(at as usize) else { return 0 };
        entry.turn = entry.turn.wrapping_add(1);
        entry.live = Some(Live { vm, call });
        u64::from(entry.turn) << 32 | u64::from(at)
    })
}

/// The call of this number, if this VM's gate has entered it.
pub fn find(number: u64) -> Option<Live> {
    CALLS.with_borrow(|calls| {
        let (turn, at) = apart(number);
        calls.entries.get(at).filter(|entry| entry.turn == turn)?.live.clone()
    })
}

/// The client in this session takes back its request of this id, if that is a call of this VM's. Out of a session nobody can
/// tell whose ids are whose.
pub fn cancel(session: &Session, id: &OwnedId) {
    if session.owner().is_none() {
        return;
    }
    CALLS.with_borrow(|calls| {
        for live in calls.entries.iter().filter_map(|row| row.live.as_ref()) {
            let mut call = live.call.borrow_mut();
            if call.session == *session && call.request_id().is_some_and(|own| own.matches(id.borrow())) {
                call.flight.cancel();
            }
        }
    });
}

/// How many calls and streams are under way at this server, or about to be, under this registry.
pub fn at(vm: &Vm, server: ServerIndex) -> usize {
    let is_there = |live: &&Live| {
        std::ptr::eq(&raw const *live.vm, vm)
            && live.call.try_borrow().is_ok_and(|call| call.flight.place() == Some(server))
    };
    CALLS.with_borrow(|calls| calls.entries.iter().filter_map(|entry| entry.live.as_ref()).filter(is_there).count())
}

/// Takes a call out.
pub fn leave(number: u64) {
    // At the end of a thread, which only tests see, there may be nothing left to take it out of.
    let _ = CALLS.try_with(|calls| {
        let calls = &mut *calls.borrow_mut();
        let (turn, at) = apart(number);
        let entry = calls.entries.get_mut(at).filter(|entry| entry.turn == turn && entry.live.is_some());
        if let Some(entry) = entry {
            entry.live = None;
            calls.free.extend(u32::try_from(at));
        }
    });
}

/// Writes a call down for attempts that can't find it here.
pub fn write_down(number: u64, call: &Call) {
    let written = handover::write(number, call);
    #[cfg(all(feature = "test-module", target_os = "wasi"))]
    let written = super::test_module::written_later(written);
    host::set_filter_state(state::PLAN, &written);
}

fn apart(number: u64) -> (u32, usize) {
    let [a, b, c, d, turn @ ..] = number.to_le_bytes();
    (u32::from_le_bytes(turn), u32::from_le_bytes([a, b, c, d]) as usize)
}

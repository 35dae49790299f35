//! One filter alone, cut off at any point: the callbacks that Envoy makes when a stream ends before its time.

use std::cell::RefCell;
use std::rc::Rc;

use super::chain::{Frame, Leg};
use super::{StreamInfo, Worker, worker};

/// Sends a request into a new stream context of `gate`, then calls `meanwhile` with what the stream has by then, while the
/// router is about to make its first attempt; then ends the stream.
pub fn under_way(worker: &Worker, gate: &str, request: &[Frame], meanwhile: impl FnOnce(&Rc<RefCell<StreamInfo>>)) {
    let info = Rc::new(RefCell::new(StreamInfo::default()));
    let context = worker.stream_context(gate, &info);
    let mut leg = Leg::new(context, true, usize::MAX);
    for frame in request {
        let _ = leg.push(frame.clone());
    }
    meanwhile(&info);
    worker::log(context);
    worker::finish(context);
}

/// Sends these frames into a new stream context of `plugin`, then ends it. What the filter lets through or answers is
/// dropped; frames that come after its own answer are still delivered, as Envoy may do while it unwinds.
pub fn interrupt(worker: &Worker, plugin: &str, info: &Rc<RefCell<StreamInfo>>, request: &[Frame], response: &[Frame]) {
    let context = worker.stream_context(plugin, info);
    let mut leg = Leg::new(context, true, usize::MAX);
    for frame in request {
        let _ = leg.push(frame.clone());
    }
    let mut leg = Leg::new(context, false, usize::MAX);
    for frame in response {
        if leg.push(frame.clone()).is_err() {
            break;
        }
    }
    worker::log(context);
    worker::finish(context);
}

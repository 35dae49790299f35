//! What Dualpath knows of the Model Context Protocol: methods, protocol versions, parameters, session ids, and the
//! answers the gate gives itself.

pub mod local;
mod method;
mod params;
mod session;
mod version;

pub use method::{Method, replay};
pub use params::{InvalidParams, Page, Params, ToolCall};
pub use session::SessionId;
pub use version::ProtocolVersion;

#[cfg(test)]
mod tests;

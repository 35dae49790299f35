//! What Dualpath knows of the Model Context Protocol: methods, protocol versions, parameters and session ids.

pub mod introduction;
mod method;
mod params;
mod session;
mod stateless;
mod version;

pub use method::{Method, is_about_tasks, is_for_one_server, replay};
pub use params::{InvalidParams, Page, Params, cancelled};
pub use session::SessionId;
pub use stateless::{Fault, METHOD_HEADER, Mirror, NAME_HEADER, VERSION_HEADER, fault, is_stateless};
pub use version::ProtocolVersion;

#[cfg(test)]
mod tests;

//! What Dualpath knows of the Model Context Protocol: methods, protocol versions, parameters and session ids.

pub mod introduction;
mod method;
mod params;
mod session;
mod version;

pub use method::{Method, is_about_tasks, is_for_one_server, replay};
pub use params::{InvalidParams, Page, Params};
pub use session::SessionId;
pub use version::ProtocolVersion;

#[cfg(test)]
mod tests;

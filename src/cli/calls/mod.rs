//! Logs of calls, as every command reads them: [`follow`] gives whole lines, [`source`] those of a file from its beginning,
//! [`record`] makes of a line what it tells of a call, whichever of the formats it has; [`scalar`] bears with how a log format
//! writes a value.

pub mod follow;
pub mod record;
pub mod scalar;
pub mod source;

//! Protocol versions.

/// A released version of MCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProtocolVersion {
    /// 2024-11-05, HTTP with SSE.
    V2024_11_05,
    /// 2025-03-26, the first with Streamable HTTP and the only one with batches.
    V2025_03_26,
    /// 2025-06-18.
    V2025_06_18,
    /// 2025-11-25, the last with `initialize` and sessions.
    V2025_11_25,
    /// 2026-07-28, stateless: every request carries its metadata.
    V2026_07_28,
}

impl ProtocolVersion {
    /// Every version, oldest first.
    pub const ALL: [Self; 5] =
        [Self::V2024_11_05, Self::V2025_03_26, Self::V2025_06_18, Self::V2025_11_25, Self::V2026_07_28];

    /// The version of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|version| version.as_str() == name)
    }

    /// Its name: the date.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V2024_11_05 => "2024-11-05",
            Self::V2025_03_26 => "2025-03-26",
            Self::V2025_06_18 => "2025-06-18",
            Self::V2025_11_25 => "2025-11-25",
            Self::V2026_07_28 => "2026-07-28",
        }
    }

    /// Whether it is without handshake and session.
    pub fn is_stateless(self) -> bool {
        self >= Self::V2026_07_28
    }

    /// What `initialize` is answered with: the version the client asks for if it has that handshake and is known,
    /// else the newest that has it.
    pub fn negotiate(asked: Option<&str>) -> Self {
        asked.and_then(Self::parse).filter(|version| !version.is_stateless()).unwrap_or(Self::V2025_11_25)
    }
}

//! Why a holder has lost a lock that is bound to its connection.

/// Why it has lost it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// The hold has reached `lock.max-hold`.
    MaxHold,
    /// Anything else.
    Other,
}

impl Loss {
    /// What the log says of it.
    pub fn reason(self) -> &'static str {
        match self {
            Loss::MaxHold => ": lock.max-hold has passed",
            Loss::Other => "",
        }
    }

    /// Whether the connection is closed whatever `lock.session-loss` says: the client of such a long hold
    /// probably hangs.
    pub fn closes_always(self) -> bool {
        self == Loss::MaxHold
    }
}

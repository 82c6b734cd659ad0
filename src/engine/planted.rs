//! Faults that tests plant, to see that they are found. Without the feature `planted-faults` none can be planted, and
//! asking for one costs nothing.

/// A fault. The engine has at most one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PlantedFault {
    /// There is no grace period.
    NoGrace,
    /// In a grace period leases are extended at once: it is forgotten for how long an old master may still grant.
    NoCutOff,
    /// A grant that could not be delivered is not undone.
    NoUndo,
    /// Queues are served from the wrong end.
    LastFirst,
    /// A session is renewed where the server refuses writes.
    RenewsUnasked,
    /// Tokens are issued twice.
    TokenTwice,
    /// A waiter is answered twice.
    AnswersTwice,
    /// A lock that others have freed is not handed over.
    NeverServes,
    /// A repeat with `HOLDS` counts again.
    CountsRepeats,
    /// Waits whose timeout has passed are forgotten.
    ForgetsTimeouts,
    /// A lease is rounded down to whole seconds.
    ShortLease,
    /// The lock of a connection that has closed is not freed, but renewed.
    OutlivesConnection,
    /// Waits that close a cycle are let wait.
    LeavesCycles,
    /// The rights of those who waited are not checked.
    IgnoresRights,
    /// A session goes on after its lock was deleted or granted to another owner.
    GoesOnAfterLoss,
    /// A command overtakes those who wait.
    Overtakes,
    /// A master that becomes a replica keeps its sessions, and writes them.
    WritesOnReplica,
    /// A wait that was cancelled stays in its queue.
    KeepsCancelled,
    /// Every other token is smaller than those before.
    TokenBelow,
    /// Waits end a second after their timeout.
    LateTimeouts,
    /// A renewal writes less than it says.
    ShortRenewal,
    /// Waits whose timeout has passed are left in their queues.
    LeavesDue,
    /// In a cluster a command looks for locks of other slots than its own.
    IgnoresSlots,
}

#[cfg(feature = "planted-faults")]
impl PlantedFault {
    /// Every fault.
    pub const ALL: [PlantedFault; 23] = [
        PlantedFault::NoGrace,
        PlantedFault::NoCutOff,
        PlantedFault::NoUndo,
        PlantedFault::LastFirst,
        PlantedFault::RenewsUnasked,
        PlantedFault::TokenTwice,
        PlantedFault::AnswersTwice,
        PlantedFault::NeverServes,
        PlantedFault::CountsRepeats,
        PlantedFault::ForgetsTimeouts,
        PlantedFault::ShortLease,
        PlantedFault::OutlivesConnection,
        PlantedFault::LeavesCycles,
        PlantedFault::IgnoresRights,
        PlantedFault::GoesOnAfterLoss,
        PlantedFault::Overtakes,
        PlantedFault::WritesOnReplica,
        PlantedFault::KeepsCancelled,
        PlantedFault::TokenBelow,
        PlantedFault::LateTimeouts,
        PlantedFault::ShortRenewal,
        PlantedFault::LeavesDue,
        PlantedFault::IgnoresSlots,
    ];

    /// The fault of this name, if there is one.
    pub fn by_name(name: &str) -> Option<PlantedFault> {
        let mut all = PlantedFault::ALL.into_iter();
        all.find(|fault| format!("{fault:?}") == name)
    }
}

#[cfg(feature = "planted-faults")]
const _: () = assert!(PlantedFault::ALL.len() == PlantedFault::IgnoresSlots as usize + 1);

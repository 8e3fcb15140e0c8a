//! Ways to break the protocol, each by a wrapper at a seam of the matrix. None of them can be reached from the crates
//! that are shipped.

/// One way to break the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Mutant {
    /// A sync is answered and nothing is durable.
    NoSync,
    /// Intents are acknowledged before they are written, so that calls go out ahead of them.
    CallBeforeIntent,
    /// An observation is answered before the call is made, and the call may never be.
    ObservationBeforeCall,
    /// Each creation has a token of its own making instead of the one in its intent.
    FreshTokens,
    /// One token for everything.
    TokenReuse,
    /// Mutations carry an epoch that nobody was given.
    ForgedEpoch,
    /// The cloud lets a late controller act.
    NoFencing,
    /// What was created counts as ready at once.
    EarlyReady,
    /// Look-ups find nothing.
    BlindLookup,
    /// Nobody waits for the consistency window.
    NoWindow,
    /// As many calls at once as there are steps.
    NoParallelism,
    /// The rate limit is not kept.
    NoPacing,
    /// Calls are repeated without end.
    EndlessRetry,
    /// Damaged records are read as if they were whole.
    NoChecksum,
    /// The state is emptied and written again, instead of replaced by a rename.
    StateInPlace,
    /// The journal is emptied before the state is durable.
    ResetBeforeSave,
    /// What a provider says goes into the journal as it is.
    SecretsTold,
    /// A choice depends on something else than the seed.
    UnseededChoice,
    /// Steps are begun without regard to their order.
    NoOrder,
    /// Old replicas go before the new ones are there, and a rollback takes what is left.
    RollbackTakesAll,
    /// A scan believes the state instead of looking.
    BlindScan,
    /// Sick replicas are replaced without backoff and budget.
    EagerHealing,
    /// Whatever is measured at a gate counts as good, and nobody looks at the replicas.
    AnalysisIgnored,
    /// A gate that was reached before a crash counts as passed after it.
    GateSkipped,
    /// The way back takes the new replicas away before those of before are ready.
    RevertDeletesFirst,
    /// After a failed plan nobody goes back.
    NoRevert,
    /// One more replica may be missing than the manifest says.
    FloorOffByOne,
    /// A change of a field that is nobody's business is corrected.
    IgnoredDriftTriggers,
    /// Only what is missing or dead counts as changed.
    BlindToFields,
}

impl Mutant {
    /// All of them.
    pub const ALL: [Self; 29] = [
        Self::NoSync,
        Self::CallBeforeIntent,
        Self::ObservationBeforeCall,
        Self::FreshTokens,
        Self::TokenReuse,
        Self::ForgedEpoch,
        Self::NoFencing,
        Self::EarlyReady,
        Self::BlindLookup,
        Self::NoWindow,
        Self::NoParallelism,
        Self::NoPacing,
        Self::EndlessRetry,
        Self::NoChecksum,
        Self::StateInPlace,
        Self::ResetBeforeSave,
        Self::SecretsTold,
        Self::UnseededChoice,
        Self::NoOrder,
        Self::RollbackTakesAll,
        Self::BlindScan,
        Self::EagerHealing,
        Self::AnalysisIgnored,
        Self::GateSkipped,
        Self::RevertDeletesFirst,
        Self::NoRevert,
        Self::FloorOffByOne,
        Self::IgnoredDriftTriggers,
        Self::BlindToFields,
    ];
}

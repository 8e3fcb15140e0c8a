//! How each kind of step looks, in one place for all pictures.

use skyloom_core::{Action, Precondition, Step};

/// Kind of a step, as a reader tells them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Look {
    Create,
    Replace,
    Delete,
    Wait,
    Claim,
    Data,
    Watch,
}

impl Look {
    pub(super) const ALL: [Self; 7] = [
        Self::Create,
        Self::Replace,
        Self::Delete,
        Self::Wait,
        Self::Claim,
        Self::Data,
        Self::Watch,
    ];

    pub(super) const fn of(step: &Step) -> Self {
        match (&step.action, &step.precondition) {
            (Action::CreateReplica { .. }, Precondition::AbsentBut { .. }) => Self::Replace,
            (Action::CreateMachine { .. } | Action::CreateReplica { .. }, _) => Self::Create,
            (Action::DeleteReplica { .. } | Action::DeleteMachine { .. }, _) => Self::Delete,
            (Action::AwaitReplica { .. }, _) => Self::Wait,
            (Action::RenameReplica { .. } | Action::AdoptReplica { .. } | Action::AdoptMachine { .. }, _) => {
                Self::Claim
            }
            (Action::SyncData { .. }, _) => Self::Data,
            (Action::Gate { .. }, _) => Self::Watch,
        }
    }

    /// What stands before the thing, as in a plan's text.
    pub(super) const fn sign(self) -> &'static str {
        match self {
            Self::Create => "+",
            Self::Replace => "~",
            Self::Delete => "-",
            Self::Wait | Self::Data => "=",
            Self::Claim => ">",
            Self::Watch => "?",
        }
    }

    /// Its name in a legend, and as a class of Mermaid.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Replace => "replace",
            Self::Delete => "delete",
            Self::Wait => "wait",
            Self::Claim => "claim",
            Self::Data => "data",
            Self::Watch => "watch",
        }
    }

    /// Border and ground. Told apart by lightness too, for those who see no hue.
    pub(super) const fn colours(self) -> (&'static str, &'static str) {
        match self {
            Self::Create => ("#1a7f37", "#dafbe1"),
            Self::Replace => ("#9a6700", "#fff3bf"),
            Self::Delete => ("#cf222e", "#ffe2e0"),
            Self::Wait => ("#6e7781", "#f6f8fa"),
            Self::Claim => ("#0969da", "#d3ebff"),
            Self::Data => ("#8250df", "#f3e8ff"),
            Self::Watch => ("#0a7a7a", "#d8f5f2"),
        }
    }
}

//! A plan for people: what moves, what goes, what it costs, what was left alone and why.

use std::fmt;

use skyloom_core::{Bytes, SyncMode};

use super::{Action, Conflict, ConflictKind, Held, HeldReason, Operation, Side, SyncPlan};
use crate::store::Condition;

/// Lines of each list that are printed; a plan for a million objects is not read line by line.
const LINES_MAX: usize = 20;

impl fmt::Display for SyncPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let arrow = match self.mode {
            SyncMode::Mirror => "->",
            SyncMode::TwoWay => "<->",
        };
        writeln!(
            f,
            "sync {} {arrow} {}: {} operations, {} to move{}",
            short(self.left.digest.prefix(12), self.left.objects),
            short(self.right.digest.prefix(12), self.right.objects),
            self.operations.len(),
            Bytes::from_bytes(self.bytes_to_move),
            self.price.map_or(String::new(), |price| format!(" for {price}")),
        )?;
        lines(f, &self.operations)?;
        lines(f, &self.conflicts)?;
        lines(f, &self.held)?;
        let deletes = self.deletes(Side::Left) + self.deletes(Side::Right);
        if deletes > 0 {
            writeln!(f, "  {deletes} deletes in all")?;
        }
        Ok(())
    }
}

fn short(digest: String, objects: u64) -> String {
    format!("{digest} ({objects} objects)")
}

fn lines<T: fmt::Display>(f: &mut fmt::Formatter<'_>, items: &[T]) -> fmt::Result {
    for item in items.iter().take(LINES_MAX) {
        writeln!(f, "  {item}")?;
    }
    match items.len().saturating_sub(LINES_MAX) {
        0 => Ok(()),
        more => writeln!(f, "  … and {more} more"),
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.id, self.action)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Copy {
                from,
                key,
                to,
                to_key,
                size,
                precondition,
                ..
            } => {
                let size = Bytes::from_bytes(*size);
                let verb = match precondition {
                    Condition::IfMatch(_) => "replace",
                    Condition::IfAbsent | Condition::Any => "create",
                };
                match key == to_key {
                    true => write!(f, "{verb} {to}:{key} from {from}, {size}"),
                    false => write!(f, "{verb} {to}:{to_key} from {from}:{key}, {size}"),
                }
            }
            Self::Delete { side, key, size, .. } => {
                write!(f, "delete {side}:{key}, {}", Bytes::from_bytes(*size))
            }
        }
    }
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = match self.kind {
            ConflictKind::BothChanged => "changed on both sides",
            ConflictKind::CopyChanged => "changed on the copy only",
            ConflictKind::LeftDeletedRightChanged => "deleted on the left, changed on the right: the change stays",
            ConflictKind::LeftChangedRightDeleted => "changed on the left, deleted on the right: the change stays",
        };
        write!(f, "conflict {}: {how}", self.key)?;
        match &self.copy {
            Some(copy) => write!(f, ", both kept, the right one as {copy}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "hold {}: {}", self.key, self.reason)
    }
}

impl fmt::Display for HeldReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Skipped { side, reason } => write!(f, "{reason} is in its place on the {side}"),
            Self::Untracked => f.write_str("only the copy has it, and it did not come from the original"),
            Self::Conflict => f.write_str("there are two contents of it"),
            Self::FolderClash { side, with } => write!(f, "on the {side}, `{with}` cannot be beside it"),
            Self::CaseClash { side, with } => write!(f, "on the {side}, `{with}` differs in case only"),
            Self::NameTooLong { side } => write!(f, "a part of its name is too long for the {side}"),
            Self::NoConflictName => f.write_str("no name is free for the conflict copy"),
        }
    }
}

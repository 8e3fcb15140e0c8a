//! Names of operations and idempotency tokens: functions of the plan, the step and the generation of the attempt, so
//! that whoever resumes finds the same ones. The epoch is not in them: a new controller continues the old one's calls.

use skyloom_core::{Digest, OperationId, Step, StepId, Token};

/// Hexadecimal digits of a digest that go into a name: 128 bits, beyond any collision by chance.
const DIGITS: usize = 32;

fn head(digest: &Digest) -> String {
    digest.to_string()[..DIGITS].to_owned()
}

/// The name of the operation by which a plan's step creates or deletes.
///
/// # Panics
/// Never: the text is a name of its kind.
#[must_use]
pub fn operation_id(plan: &Digest, step: StepId) -> OperationId {
    OperationId::new(format!("{}-{}", head(plan), step.0)).expect("invariant: hexadecimal digits and a number")
}

/// The name of the operation by which a step is undone.
///
/// # Panics
/// Never: the text is a name of its kind.
#[must_use]
pub fn undo_operation_id(plan: &Digest, step: StepId) -> OperationId {
    OperationId::new(format!("{}-{}-undo", head(plan), step.0)).expect("invariant: hexadecimal digits and a number")
}

/// Digest of what a step asks for.
#[must_use]
pub fn parameters(step: &Step) -> Digest {
    Digest::of(&step.action)
}

/// The idempotency token of a step in generation `attempt` (from 1). It covers the parameters: other parameters have
/// another token.
///
/// # Panics
/// Never: the text is a name of its kind.
#[must_use]
pub fn token(plan: &Digest, step: StepId, attempt: u32, parameters: &Digest) -> Token {
    let digest = Digest::of(&(plan, step, attempt, parameters));
    Token::new(head(&digest)).expect("invariant: hexadecimal digits")
}

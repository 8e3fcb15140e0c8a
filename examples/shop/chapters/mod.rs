//! The story's chapters, one each: what is done, and what is remembered of it.

pub(crate) mod balance;
pub(crate) mod decide;
pub(crate) mod guard;
pub(crate) mod heal;
pub(crate) mod rehearse;
pub(crate) mod sync;
pub(crate) mod watch;

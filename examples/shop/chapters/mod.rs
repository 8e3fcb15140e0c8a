//! The story's chapters, one each: what is done, and what is remembered of it.

pub mod balance;
pub mod decide;
pub mod guard;
pub mod heal;
pub mod rehearse;
pub mod sync;
pub mod watch;

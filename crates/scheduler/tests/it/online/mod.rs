//! Online placement: the index against a scan, final states against the independent checker, rules, gangs, evictions.

mod bad_input;
mod checker;
mod gangs;
mod policies;
mod priorities;
mod published;
mod rules;
mod worlds;

//! The crash matrix in small: some worlds without a violation, and every mutant caught. The example `crash_matrix` does
//! the same for thousands of worlds.

use std::num::NonZeroUsize;

use skyloom_testkit::crash::{Invariant, Mutant, mutants, story, worlds};

/// Worlds of this test; a debug build explores about two in a second.
const WORLDS: u64 = 6;

#[test]
fn no_crash_and_no_lost_answer_breaks_an_invariant() {
    let report = worlds(0..WORLDS, NonZeroUsize::new(2).unwrap());
    assert_eq!(report.worlds, WORLDS);
    assert!(report.crashes > 100, "{report:?}");
    assert!(report.lost_replies > 20, "{report:?}");
    assert!(report.is_clean(), "{:#?}", report.seeds);
    assert_eq!(report.violations.len(), Invariant::ALL.len());
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let of = |threads| worlds(100..102, NonZeroUsize::new(threads).unwrap());
    assert_eq!(of(1), of(3));
}

#[test]
fn every_way_to_break_the_protocol_is_caught() {
    // A mutant is done with the first world that shows it; the rarest shows in the fortieth.
    let caught = mutants(60);
    let missed: Vec<Mutant> = caught
        .iter()
        .filter(|(_, shown)| shown.is_none())
        .map(|(m, _)| *m)
        .collect();
    assert_eq!(missed, []);
    assert!(caught.len() >= 10);
}

#[test]
fn a_violation_comes_with_its_story() {
    assert_eq!(story(0, None), Vec::<String>::new());
    let told = story(0, Some(Mutant::NoSync));
    assert!(told.iter().any(|line| line.contains("Created")), "{told:#?}");
}

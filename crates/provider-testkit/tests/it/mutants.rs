//! Every driver that breaks the contract is caught by the case that names what it breaks, and every case catches one.

use std::collections::BTreeSet;

use futures::executor::block_on;
use skyloom_provider_testkit::{CASES, Outcome, run};

use crate::mutant::{Break, Mutant};
use crate::world::{SimHarness, config};

/// What is broken, and a case that must see it.
const MUTANTS: [(Break, &str); 39] = [
    (Break::HasNoName, "capabilities_are_constant"),
    (Break::HidesAnAbility, "what_is_not_declared_is_unsupported"),
    (Break::TakesAnyCloud, "other_clouds_are_refused"),
    (Break::RepeatsAQuota, "quotas_are_sound"),
    (Break::ForgetsTheOperation, "a_machine_round_trips"),
    (Break::IgnoresTokens, "the_same_token_makes_one_thing"),
    (Break::IgnoresParameters, "a_token_with_other_parameters_is_refused"),
    (Break::RevivesDeletedTokens, "a_token_of_a_deleted_thing_is_refused"),
    (Break::TakesAnyMachine, "a_replica_needs_its_machine"),
    (Break::AnswersForTheUnknown, "an_unknown_id_is_not_found"),
    (Break::FindsAnything, "a_token_finds_only_the_owners_thing"),
    (Break::ListsEverybody, "a_list_holds_only_the_owners_things"),
    (Break::ListsBackwards, "a_list_is_sorted_by_id"),
    (Break::TruncatesLists, "many_tokens_at_once_make_many_things"),
    (Break::UnderstatesItsWindow, "a_machine_round_trips"),
    (Break::DeletesOnlyOnce, "delete_is_idempotent"),
    (Break::ReturnsBeforeGone, "delete_waits_until_gone"),
    (Break::DeletesMachinesInUse, "a_machine_in_use_is_kept"),
    (Break::NeverRuns, "a_machine_comes_to_run"),
    (Break::ForgetsEndpoints, "endpoints_are_present_and_distinct"),
    (Break::SharesEndpoints, "endpoints_are_present_and_distinct"),
    (Break::HidesExitCodes, "an_exit_code_is_seen"),
    (Break::TellsEveryEndAsSuccess, "a_kill_is_seen"),
    (Break::ForgetsTheExited, "what_has_exited_stays_until_deleted"),
    (Break::LogsTheFirstLines, "logs_are_the_last_lines"),
    (Break::LosesUsage, "usage_never_falls"),
    (Break::SwallowsExecCodes, "exec_answers"),
    (Break::ExecIgnoresTimeouts, "exec_ends_at_its_timeout"),
    (Break::StopDeletes, "stop_and_start_keep_the_thing"),
    (Break::TakesStaleEpochs, "a_stale_delete_is_refused"),
    (Break::FencesOnlyNewThings, "a_later_controller_goes_on"),
    (Break::FencesOwnersTogether, "epochs_are_per_owner"),
    (Break::ReturnsAnothersThing, "a_replica_round_trips"),
    (Break::ChecksThenActs, "one_token_at_once_makes_one_machine"),
    (Break::RemembersTooLate, "a_dropped_create_can_be_repeated"),
    (Break::DeletesRace, "many_deletes_at_once_succeed"),
    (Break::KeepsTheOldOwner, "what_is_taken_over_runs_on"),
    (Break::TakesAnybodys, "anothers_thing_is_not_taken"),
    (Break::HidesTheReleased, "what_is_released_is_nobodys"),
];

#[test]
fn every_mutant_is_caught_and_every_case_catches_one() {
    let mut caught_by_some: BTreeSet<&str> = BTreeSet::new();
    for (breaks, expected) in MUTANTS {
        let harness = SimHarness {
            config: config(11),
            wrap: move |cloud| Mutant::new(cloud, breaks),
        };
        let report = block_on(run(&harness));
        let caught = matches!(report.outcome(expected), Some(Outcome::Failed { .. }));
        assert!(caught, "{breaks:?} is not caught by {expected}\n{report}");
        caught_by_some.extend(report.failures().iter().map(|case| case.name));
    }
    let all: BTreeSet<&str> = CASES.iter().map(|case| case.name).collect();
    let never: Vec<_> = all.difference(&caught_by_some).collect();
    assert!(never.is_empty(), "no mutant makes these fail: {never:?}");
}

#[test]
fn a_report_prints_what_failed_what_was_skipped_and_how_many() {
    let harness = SimHarness {
        config: config(1),
        wrap: |cloud| Mutant::new(cloud, Break::ForgetsEndpoints),
    };
    let report = block_on(run(&harness));
    let text = report.to_string();
    assert!(
        text.contains(
            "FAILED   endpoints_are_present_and_distinct: the port `http` of a running replica has no endpoint"
        )
    );
    assert!(text.contains("skipped  other_clouds_are_refused: the driver stands in for any cloud"));
    assert!(text.ends_with("failed, 2 skipped"), "{text}");
    let error = report.passed().unwrap_err();
    assert!(format!("{error:?}").starts_with("failed to conform to the driver contract"));
}

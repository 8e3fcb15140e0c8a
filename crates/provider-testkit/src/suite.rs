//! The table of cases and the loop over it.

use std::fmt;

use futures::future::BoxFuture;

use crate::bed::{Bed, Halt, Verdict};
use crate::cases::{abilities, at_once, capabilities, create, fences, lookup, remove, states, takeover};
use crate::harness::Harness;
use crate::report::{CaseResult, Outcome, Report};

/// One promise of the driver contract, tried in a world of its own.
#[derive(Clone, Copy)]
pub struct Case {
    /// Its name, which says the promise.
    pub name: &'static str,
    run: for<'a> fn(&'a Bed) -> BoxFuture<'a, Verdict>,
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Case").field(&self.name).finish()
    }
}

macro_rules! cases {
    ($($room:ident :: $name:ident),+ $(,)?) => {
        &[$(Case { name: stringify!($name), run: |bed| Box::pin($room::$name(bed)) }),+]
    };
}

/// Every case, in the order in which they run: the whole registration of a case is its line here.
pub const CASES: &[Case] = cases![
    capabilities::capabilities_are_constant,
    capabilities::what_is_not_declared_is_unsupported,
    capabilities::other_clouds_are_refused,
    capabilities::quotas_are_sound,
    create::a_machine_round_trips,
    create::a_replica_round_trips,
    create::the_same_token_makes_one_thing,
    create::a_token_with_other_parameters_is_refused,
    create::a_token_of_a_deleted_thing_is_refused,
    create::a_replica_needs_its_machine,
    lookup::an_unknown_id_is_not_found,
    lookup::an_unknown_token_finds_nothing,
    lookup::a_token_finds_only_the_owners_thing,
    lookup::a_list_holds_only_the_owners_things,
    lookup::a_list_is_sorted_by_id,
    remove::delete_is_idempotent,
    remove::delete_of_the_unknown_is_success,
    remove::delete_waits_until_gone,
    remove::delete_ends_the_stubborn,
    remove::a_machine_in_use_is_kept,
    states::a_machine_comes_to_run,
    states::a_replica_comes_to_run,
    states::endpoints_are_present_and_distinct,
    states::an_exit_code_is_seen,
    states::a_success_is_seen,
    states::a_kill_is_seen,
    states::what_has_exited_stays_until_deleted,
    abilities::logs_are_the_last_lines,
    abilities::usage_never_falls,
    abilities::exec_answers,
    abilities::exec_ends_at_its_timeout,
    abilities::stop_and_start_keep_the_thing,
    fences::a_stale_create_is_refused,
    fences::a_stale_delete_is_refused,
    fences::a_stale_stop_or_start_is_refused,
    fences::a_later_controller_goes_on,
    fences::epochs_are_per_owner,
    takeover::what_is_taken_over_runs_on,
    takeover::anothers_thing_is_not_taken,
    takeover::a_stale_retag_is_refused,
    takeover::what_is_released_is_nobodys,
    at_once::one_token_at_once_makes_one_machine,
    at_once::one_token_at_once_makes_one_replica,
    at_once::many_tokens_at_once_make_many_things,
    at_once::many_deletes_at_once_succeed,
    at_once::a_dropped_create_can_be_repeated,
];

/// Runs every case, each in a world of its own, one after the other, and reports on all of them.
///
/// A case that cannot be tried is in the report with its reason, and is printed to standard error as well: the
/// harness of a driver should be able to say why it is so.
pub async fn run(harness: &dyn Harness) -> Report {
    let mut report = None;
    for case in CASES {
        let bed = Bed {
            world: harness.world().await,
        };
        let outcome = match (case.run)(&bed).await {
            Ok(()) => Outcome::Passed,
            Err(Halt::Failed(why)) => Outcome::Failed { why },
            Err(Halt::Skipped(why)) => {
                eprintln!("skipped  {}: {why}", case.name);
                Outcome::Skipped { why }
            }
        };
        let name = || bed.driver().capabilities().name.clone();
        let report = report.get_or_insert_with(|| Report::new(name()));
        let name = case.name;
        report.cases.push(CaseResult { name, outcome });
        bed.world.close().await;
    }
    report.unwrap_or_else(|| Report::new(String::new()))
}

/// Declares a test that runs the suite: its name, how to run a future to its end, and the harness.
///
/// ```no_run
/// # use skyloom_provider_testkit::{Harness, World};
/// # struct MyHarness;
/// # #[async_trait::async_trait]
/// # impl Harness for MyHarness {
/// #     async fn world(&self) -> Box<dyn World> { unimplemented!() }
/// # }
/// skyloom_provider_testkit::conformance!(my_driver_conforms, futures::executor::block_on, MyHarness);
/// ```
#[macro_export]
macro_rules! conformance {
    ($name:ident, $block_on:expr, $harness:expr) => {
        #[test]
        fn $name() {
            let harness = $harness;
            let report = ($block_on)($crate::run(&harness));
            assert!(report.failures().is_empty(), "\n{report}");
        }
    };
}

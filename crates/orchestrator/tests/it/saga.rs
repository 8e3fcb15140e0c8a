//! The saga, step by step: what it says, in which order, and what it refuses to hear.

use std::time::Duration;

use skyloom_core::{Action, Class, Condition, Plan, RetryPolicy, StepId, Timestamp, Until};
use skyloom_orchestrator::{
    Command, Event, MalformedPlan, Record, ReplayError, Saga, SagaConfig, SagaError, SagaStatus, plan,
};

use crate::fixture::{checked, empty, manifest, needs, place, resource, service, shop};
use crate::runner::{Fault, Runner, step_of};
use crate::world::World;

pub(crate) fn shop_plan() -> Plan {
    let manifest = shop();
    let before = empty();
    let placement = place(&manifest, &before, |_| 16, |replica| format!("m-{}", replica.service()));
    plan(&manifest, &placement, &before).unwrap()
}

/// One machine, one replica with a health check.
pub(crate) fn small_plan() -> Plan {
    let manifest = manifest(vec![checked(service("a", 1))]);
    let before = empty();
    let placement = place(&manifest, &before, |_| 4, |_| String::from("m"));
    plan(&manifest, &placement, &before).unwrap()
}

fn commands(saga: &mut Saga) -> Vec<Command> {
    std::iter::from_fn(|| saga.poll_command()).collect()
}

/// The commands, with every record acknowledged as soon as it comes.
fn recorded(saga: &mut Saga, now: Timestamp) -> Vec<Command> {
    let mut all = Vec::new();
    while let Some(command) = saga.poll_command() {
        if let Command::Record { seq, .. } = &command {
            saga.handle(Event::Recorded { seq: *seq }, now).unwrap();
        }
        all.push(command);
    }
    all
}

fn kinds(commands: &[Command]) -> Vec<String> {
    let kind = |command: &Command| match command {
        Command::Record { record, .. } => format!("record {}", record.kind()),
        Command::Create { step, .. } => format!("create {step}"),
        Command::Lookup { step, .. } => format!("look up {step}"),
        Command::AwaitReady { step, until, .. } => format!("await {step} {until:?}"),
        Command::Look { step, .. } => format!("look {step}"),
        Command::StopAwaiting { step } => format!("stop awaiting {step}"),
        Command::Delete { step, .. } => format!("delete {step}"),
    };
    commands.iter().map(kind).collect()
}

const T0: Timestamp = Timestamp::EPOCH;
pub(crate) const MACHINE: StepId = StepId(0);
pub(crate) const REPLICA: StepId = StepId(1);

fn created(step: StepId, id: &str) -> Event {
    let resource = resource(id);
    Event::Created { step, resource }
}

fn failed(step: StepId, class: Class) -> Event {
    let detail = String::from("said no");
    Event::CallFailed { step, class, detail }
}

#[test]
fn nothing_is_called_before_its_intent_is_durable() {
    let mut saga = Saga::new(small_plan(), SagaConfig::new(), 1).unwrap();
    assert_eq!(kinds(&commands(&mut saga)), ["record begun"]);
    assert_eq!(saga.poll_deadline(), None);
    saga.handle(Event::Recorded { seq: 1 }, T0).unwrap();
    assert_eq!(kinds(&commands(&mut saga)), ["record intent"]);
    saga.handle(Event::Tick, T0).unwrap();
    assert_eq!(commands(&mut saga), []);
    saga.handle(Event::Recorded { seq: 2 }, T0).unwrap();
    assert_eq!(kinds(&commands(&mut saga)), ["create #0"]);
    saga.handle(created(MACHINE, "vm-1"), T0).unwrap();
    assert_eq!(kinds(&commands(&mut saga)), ["record observed"]);
    assert!(saga.resources().is_empty());
    saga.handle(Event::Recorded { seq: 3 }, T0).unwrap();
    assert_eq!(saga.resources()[&MACHINE], resource("vm-1"));
    assert_eq!(kinds(&commands(&mut saga)), ["await #0 Healthy"]);
    let until = Until::Healthy;
    saga.handle(Event::Ready { step: MACHINE, until }, T0).unwrap();
    assert_eq!(
        kinds(&recorded(&mut saga, T0)),
        ["record ready", "record intent", "create #1"]
    );
    saga.handle(created(REPLICA, "r-1"), T0).unwrap();
    assert_eq!(kinds(&recorded(&mut saga, T0)), ["record observed", "await #1 Healthy"]);
    assert_eq!((saga.progress().done, saga.progress().waiting), (1, 1));
    saga.handle(Event::Ready { step: REPLICA, until }, T0).unwrap();
    assert_eq!(kinds(&recorded(&mut saga, T0)), ["record ready", "record ended"]);
    assert_eq!((saga.status(), saga.progress().done), (SagaStatus::Succeeded, 2));
}

#[test]
fn the_replica_is_created_on_the_machine_that_the_plan_made() {
    let mut world = World::default();
    let plan = small_plan();
    let mut runner = Runner::new(&plan, SagaConfig::new(), &mut world, 1);
    runner.finish();
    let machine = runner.saga.resources()[&MACHINE].clone();
    let on = |command: &Command| match command {
        Command::Create {
            step: REPLICA, machine, ..
        } => machine.clone(),
        _ => None,
    };
    assert_eq!(runner.log.iter().find_map(on), Some(machine));
}

/// Gets the small plan to the moment where its machine is being created.
fn creating(config: SagaConfig) -> Saga {
    let mut saga = Saga::new(small_plan(), config, 1).unwrap();
    assert_eq!(recorded(&mut saga, T0).len(), 3);
    saga
}

#[test]
fn after_a_lost_answer_it_looks_twice_and_then_creates_with_the_same_token() {
    let config = SagaConfig::new().with_consistency_window(Duration::from_secs(30));
    let mut saga = Saga::new(small_plan(), config, 1).unwrap();
    let first = recorded(&mut saga, T0).pop().unwrap();
    saga.handle(failed(MACHINE, Class::Transient), T0).unwrap();
    assert_eq!(kinds(&recorded(&mut saga, T0)), ["record failed", "look up #0"]);
    let nothing = Event::Found {
        step: MACHINE,
        resource: None,
    };
    saga.handle(nothing.clone(), T0).unwrap();
    let due = saga.poll_deadline().unwrap();
    assert_eq!(due, Timestamp::from_secs(30));
    assert_eq!(commands(&mut saga), []);
    saga.handle(Event::Tick, due).unwrap();
    assert_eq!(kinds(&commands(&mut saga)), ["look up #0"]);
    saga.handle(nothing, due).unwrap();
    assert_eq!(commands(&mut saga), [first]);
}

#[test]
fn a_spent_token_is_replaced_by_that_of_the_next_generation() {
    let mut saga = creating(SagaConfig::new());
    let now = Timestamp::from_secs(60);
    saga.handle(failed(MACHINE, Class::Transient), T0).unwrap();
    recorded(&mut saga, T0);
    for at in [T0, now] {
        saga.handle(Event::Tick, at).unwrap();
        commands(&mut saga);
        let found = Event::Found {
            step: MACHINE,
            resource: None,
        };
        saga.handle(found, at).unwrap();
    }
    let Some(Command::Create { token: first, .. }) = saga.poll_command() else {
        panic!("no creation")
    };
    saga.handle(failed(MACHINE, Class::Conflict), now).unwrap();
    let again = recorded(&mut saga, now);
    assert_eq!(kinds(&again), ["record failed", "record intent", "create #0"]);
    assert!(matches!(&again[2], Command::Create { token, .. } if *token != first));
    // A conflict on the first use of a token is what it says.
    saga.handle(failed(MACHINE, Class::Conflict), now).unwrap();
    recorded(&mut saga, now);
    assert!(matches!(saga.status(), SagaStatus::RolledBack { cause, .. } if cause.class == Class::Conflict));
}

#[test]
fn what_is_natural_twice_is_ignored_and_what_cannot_be_is_an_error() {
    let mut saga = creating(SagaConfig::new());
    let wrong = StepId(9);
    assert_eq!(
        saga.handle(Event::Gone { step: wrong }, T0),
        Err(SagaError::UnknownStep { step: wrong })
    );
    let early = saga.handle(created(REPLICA, "r"), T0);
    assert!(
        matches!(early, Err(SagaError::Unexpected { state: "not begun", .. })),
        "{early:?}"
    );
    let not_deleting = saga.handle(Event::Gone { step: MACHINE }, T0);
    assert!(matches!(not_deleting, Err(SagaError::Unexpected { .. })));
    let unsaid = saga.handle(Event::Recorded { seq: 7 }, T0);
    assert_eq!(unsaid, Err(SagaError::NotHandedOut { seq: 7, last: 2 }));
    let until = Until::Healthy;
    assert!(saga.handle(Event::Ready { step: MACHINE, until }, T0).is_err());
    // None of it has changed anything.
    assert_eq!(commands(&mut saga), []);
    saga.handle(created(MACHINE, "vm-1"), T0).unwrap();
    for _ in 0..2 {
        saga.handle(created(MACHINE, "vm-1"), T0).unwrap();
        let second = saga.handle(created(MACHINE, "vm-2"), T0);
        assert!(matches!(second, Err(SagaError::SecondResource { .. })), "{second:?}");
        recorded(&mut saga, T0);
    }
    saga.handle(failed(REPLICA, Class::Invalid), T0).unwrap();
    saga.handle(Event::Recorded { seq: 1 }, T0).unwrap();
    assert_eq!(saga.status(), SagaStatus::Running);
}

#[test]
fn a_thing_that_turns_up_after_all_hope_is_told() {
    let mut saga = creating(SagaConfig::new());
    saga.handle(failed(MACHINE, Class::Denied), T0).unwrap();
    let late = saga.handle(created(MACHINE, "vm-1"), T0);
    assert!(matches!(late, Err(SagaError::TooLate { .. })));
    recorded(&mut saga, T0);
    assert!(matches!(
        saga.handle(created(MACHINE, "vm-1"), T0),
        Err(SagaError::TooLate { .. })
    ));
}

#[test]
fn a_full_disk_or_a_later_controller_stops_everything() {
    let detail = String::from("disk full");
    let class = Class::Exhausted;
    let halts = [Event::RecordFailed { class, detail }, Event::Fenced { seen: 2 }];
    for halt in halts {
        let mut saga = creating(SagaConfig::new());
        saga.handle(created(MACHINE, "vm-1"), T0).unwrap();
        saga.handle(halt, T0).unwrap();
        assert_eq!(commands(&mut saga), []);
        saga.handle(Event::Recorded { seq: 3 }, T0).unwrap();
        assert_eq!((commands(&mut saga), saga.poll_deadline()), (vec![], None));
        assert!(matches!(saga.status(), SagaStatus::Halted { .. }));
    }
}

#[test]
fn after_a_stop_no_call_is_begun() {
    let mut saga = Saga::new(small_plan(), SagaConfig::new(), 1).unwrap();
    commands(&mut saga);
    saga.handle(Event::Recorded { seq: 1 }, T0).unwrap();
    // The intent is on its way to the journal when the caller cancels; both become durable at once.
    saga.handle(Event::CancelRequested, T0).unwrap();
    let said = commands(&mut saga);
    assert_eq!(kinds(&said), ["record intent", "record cancel-requested"]);
    saga.handle(Event::Recorded { seq: 2 }, T0).unwrap();
    assert_eq!(kinds(&commands(&mut saga)), ["create #0"]);
    saga.handle(Event::Recorded { seq: 3 }, T0).unwrap();
    assert_eq!(commands(&mut saga), []);
    saga.handle(created(MACHINE, "vm-1"), T0).unwrap();
    assert_eq!(kinds(&recorded(&mut saga, T0)), ["record observed", "record ended"]);
    // The other way round: nothing is called any more.
    let mut saga = Saga::new(small_plan(), SagaConfig::new(), 1).unwrap();
    commands(&mut saga);
    saga.handle(Event::CancelRequested, T0).unwrap();
    saga.handle(Event::Recorded { seq: 1 }, T0).unwrap();
    saga.handle(Event::Recorded { seq: 2 }, T0).unwrap();
    assert_eq!(
        kinds(&recorded(&mut saga, T0)),
        [
            "record cancel-requested",
            "record intent",
            "record withdrawn",
            "record ended"
        ]
    );
    assert_eq!(saga.status(), SagaStatus::Cancelled { kept: vec![] });
}

#[test]
fn retries_are_bounded_also_over_crashes() {
    let plan = small_plan();
    let mut world = World::default();
    let policy = RetryPolicy::new(4, Duration::from_millis(100), Duration::from_secs(1));
    let config = SagaConfig::new().with_retry(policy);
    let faults = |step, _, command: &Command| {
        (step == MACHINE && matches!(command, Command::Create { .. })).then_some(Fault::Refused(Class::Throttled))
    };
    let mut runner = Runner::new(&plan, config, &mut world, 5).with_faults(faults);
    for _ in 0..3 {
        let at = runner.journal.len() + 2;
        runner.crash_after(at);
        runner.resume(config);
    }
    let status = runner.finish();
    assert!(
        matches!(&status, SagaStatus::RolledBack { cause, .. } if cause.class == Class::Throttled),
        "{status:?}"
    );
    let counted = runner
        .journal
        .iter()
        .filter(|r| matches!(r, Record::Failed { .. }))
        .count();
    assert!(counted <= 5, "{counted} failures are on record");
}

#[test]
fn a_silent_provider_meets_the_deadline() {
    let mut world = World::default();
    let plan = small_plan();
    let mut runner = Runner::new(&plan, SagaConfig::new(), &mut world, 5).with_faults(|_, _, _| Some(Fault::Silent));
    let status = runner.finish();
    // Neither creation nor look-up answers: it cannot be told whether something is there.
    assert!(
        matches!(&status, SagaStatus::Stuck { left, .. } if left[0].step == MACHINE),
        "{status:?}"
    );
    assert!(runner.now < Timestamp::from_secs(3600));
}

#[test]
fn the_longest_remaining_path_goes_first() {
    let chain = |name: &str, on: &str| needs(service(name, 1), on, Condition::Started, 0);
    let services = vec![
        service("z", 1),
        chain("y", "z"),
        chain("x", "y"),
        service("a", 1),
        service("b", 1),
    ];
    let manifest = manifest(services);
    let before = crate::fixture::snapshot(&["m"], vec![]);
    let placement = place(&manifest, &before, |_| 16, |_| String::from("m"));
    let plan = plan(&manifest, &placement, &before).unwrap();
    let config = SagaConfig::new().with_parallelism(std::num::NonZeroU32::MIN);
    let mut world = World::default();
    let vm = resource("vm-m");
    world
        .things
        .insert(vm, crate::world::Thing::Machine(crate::fixture::machine("m", 16)));
    let mut runner = Runner::new(&plan, config, &mut world, 1);
    runner.finish();
    let order: Vec<String> = runner
        .log
        .iter()
        .filter(|c| matches!(c, Command::Create { .. }))
        .map(|c| plan.step(step_of(c)).unwrap().action.replica().unwrap().to_string())
        .collect();
    assert_eq!(order, ["z/0", "y/0", "a/0", "b/0", "x/0"]);
}

#[test]
fn a_journal_that_is_not_this_plans_is_refused() {
    let plan = small_plan();
    let mut world = World::default();
    let mut runner = Runner::new(&plan, SagaConfig::new(), &mut world, 5);
    runner.finish();
    let journal = runner.journal;
    let resume = |plan: &Plan, epoch, records: &[Record]| {
        Saga::resume(plan.clone(), SagaConfig::new(), epoch, records).map(|saga| saga.status())
    };
    assert_eq!(resume(&plan, 1, &journal), Ok(SagaStatus::Succeeded));
    let other = shop_plan();
    assert!(matches!(
        resume(&other, 1, &journal),
        Err(ReplayError::OtherPlan { .. })
    ));
    assert_eq!(
        resume(&plan, 0, &journal),
        Err(ReplayError::Fenced { ours: 0, journal: 1 })
    );
    let mut swapped = journal.clone();
    swapped.swap(2, 3);
    let error = resume(&plan, 1, &swapped).unwrap_err();
    insta::assert_snapshot!(error, @"read record 2 (`ready`) of the journal: the step was not in a state for it");
    let headless = resume(&plan, 1, &journal[1..]);
    assert!(matches!(headless, Err(ReplayError::Impossible { position: 0, .. })));
    let mut future = journal.clone();
    if let Record::Begun { version, .. } = &mut future[0] {
        *version += 1;
    }
    assert_eq!(
        resume(&plan, 1, &future),
        Err(ReplayError::FutureVersion { version: 2 })
    );
    let mut longer = journal.clone();
    longer.push(Record::CancelRequested);
    assert!(matches!(resume(&plan, 1, &longer), Err(ReplayError::Impossible { .. })));
}

#[test]
fn a_record_of_version_1_is_read_for_ever() {
    // Written by the first version; a change that breaks this line breaks journals on disk.
    let text = r#"{"record":"intent","step":3,"operation":"op-3","token":"t","attempt":1,"parameters":"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"}"#;
    let record: Record = serde_json::from_str(text).unwrap();
    assert_eq!(record.step(), Some(StepId(3)));
    assert_eq!(serde_json::to_string(&record).unwrap(), text);
}

#[test]
fn a_plan_that_does_not_hold_together_is_refused() {
    let refused = |change: &dyn Fn(&mut Plan)| {
        let mut plan = shop_plan();
        change(&mut plan);
        Saga::new(plan, SagaConfig::new(), 1)
            .map(|saga| saga.status())
            .unwrap_err()
    };
    let step = StepId(1);
    assert!(matches!(
        refused(&|p| p.steps[1].id = StepId(7)),
        MalformedPlan::Misplaced { .. }
    ));
    let later = skyloom_core::After {
        step,
        until: Until::Done,
    };
    assert!(matches!(
        refused(&|p| p.steps[1].after.push(later)),
        MalformedPlan::NotEarlier { .. }
    ));
    assert!(matches!(
        refused(&|p| p.barriers.clear()),
        MalformedPlan::NoBarrier { .. }
    ));
    assert!(matches!(
        refused(&|p| p.barriers[0].after_all.push(skyloom_core::BarrierId(0))),
        MalformedPlan::NoBarrier { .. }
    ));
    assert!(matches!(
        refused(&|p| p.barriers[0].after.push(skyloom_core::After {
            step: StepId(9),
            ..later
        })),
        MalformedPlan::NotEarlier { .. }
    ));
    let elsewhere = |p: &mut Plan| {
        if let Action::CreateReplica { spec } = &mut p.steps[4].action {
            spec.machine = crate::fixture::machine_id("nowhere");
        }
    };
    assert!(matches!(refused(&elsewhere), MalformedPlan::NoMachine { .. }));
}

#[test]
fn an_empty_plan_succeeds() {
    let manifest = manifest(vec![]);
    let before = empty();
    let placement = place(&manifest, &before, |_| 1, |_| String::new());
    let plan = plan(&manifest, &placement, &before).unwrap();
    let mut saga = Saga::new(plan, SagaConfig::new(), 1).unwrap();
    assert_eq!(kinds(&recorded(&mut saga, T0)), ["record begun", "record ended"]);
    assert_eq!(saga.status(), SagaStatus::Succeeded);
}

#[test]
fn tokens_are_functions_of_plan_step_generation_and_parameters() {
    let plan = small_plan();
    let id = plan.id();
    let token = |step: usize, attempt| {
        let parameters = skyloom_orchestrator::parameters(&plan.steps[step]);
        skyloom_orchestrator::token(&id, plan.steps[step].id, attempt, &parameters)
    };
    assert_eq!(token(0, 1), token(0, 1));
    assert_ne!(token(0, 1), token(0, 2));
    assert_ne!(token(0, 1), token(1, 1));
}

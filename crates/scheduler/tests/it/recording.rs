//! Records: made again to the letter, also from text; refused where they are not what they say.

use skyloom_core::*;
use skyloom_scheduler::policy::BUILTIN;
use skyloom_scheduler::record::*;
use skyloom_scheduler::{Effort, PlaceConfig, Problem};

use crate::random_world::tiny;
use crate::shop::shop;
use crate::world::{World, node};

fn recorded(world: &World, policy: &str, units: u64) -> Record {
    let catalogue = world.catalogue();
    let problem = world.problem(&catalogue);
    let policy = PolicyName {
        name: policy.to_owned(),
        seed: 7,
    };
    record(&problem, &policy, &PlaceConfig::new(), &mut Effort::units(units)).unwrap()
}

fn world(seed: u64) -> World {
    let mut world = tiny(seed, 8);
    if seed.is_multiple_of(2) {
        let mut used = node("n-1", "eu-1a");
        used.utilisation = Some(Ratio::new(0.1 + 0.2).unwrap());
        world = world.with_nodes(vec![used, node("n-2", "eu-1b")]);
    }
    world
}

#[test]
fn every_policy_is_replayed_to_equal_bytes_from_its_text() {
    for seed in 0..25 {
        for builtin in BUILTIN {
            // With little work too: where the search was cut off it is cut off again.
            let record = recorded(&world(seed), builtin.name, 3000 * seed);
            let text = record.to_json();
            let read = Record::from_json(&text).unwrap();
            assert_eq!(read, record, "{} {seed}", builtin.name);
            assert_eq!(read.to_json(), text, "{} {seed}", builtin.name);
            let again = replay(&read).unwrap();
            assert_eq!(again.placement.cost, record.decision.placement.cost);
            assert_eq!(Digest::of(&again.placement), record.placement);
        }
    }
}

#[test]
fn what_a_callers_clock_cut_off_is_replayed_without_it() {
    let world = world(4);
    let catalogue = world.catalogue();
    let problem = world.problem(&catalogue);
    let ticks = std::cell::Cell::new(0.0);
    let spent = || {
        ticks.set(ticks.get() + 0.04);
        ticks.get()
    };
    let policy = PolicyName {
        name: "cheapest".to_owned(),
        seed: 0,
    };
    let record = record(&problem, &policy, &PlaceConfig::new(), &mut Effort::watched(&spent)).unwrap();
    assert!(!record.effort.ended.is_empty(), "it was cut off");
    replay(&Record::from_json(&record.to_json()).unwrap()).unwrap();
}

#[test]
fn the_shop_is_recorded_with_or_without_its_catalogue() {
    let (manifest, snapshot, catalogue) = (shop(), Snapshot::empty(1, Timestamp::EPOCH), Catalogue::builtin());
    let problem = Problem {
        manifest: &manifest,
        snapshot: &snapshot,
        catalogue: &catalogue,
    };
    let policy = PolicyName {
        name: "cheapest".to_owned(),
        seed: 0,
    };
    let record = record(&problem, &policy, &PlaceConfig::new(), &mut Effort::units(100_000)).unwrap();
    let short = record.clone().without_catalogue();
    let text = short.to_json();
    assert!(
        text.len() < 64_000,
        "a decision over 1,627 offers stays small: {} bytes",
        text.len()
    );
    let short = Record::from_json(&text).unwrap();
    assert!(matches!(replay(&short), Err(ReplayError::CatalogueMissing { .. })));
    replay_with(&short, &catalogue).unwrap();
    let other = catalogue
        .clone()
        .retain(|offer| offer.key.region.cloud.as_str() != "aws");
    assert!(matches!(
        replay_with(&short, &other),
        Err(ReplayError::OtherCatalogue { .. })
    ));
    replay(&record).unwrap();
}

#[test]
fn what_was_changed_is_found_and_named() {
    let record = recorded(&world(1), "cheapest", 50_000);
    let differs = |change: &dyn Fn(&mut Record)| {
        let mut changed = record.clone();
        change(&mut changed);
        let error = replay(&changed).unwrap_err();
        (error.class(), error.to_string())
    };
    let (class, text) = differs(&|r| r.decision.placement.cost.egress_per_month = MicroUsd::from_micros(-5));
    assert_eq!(class, Class::Conflict);
    assert!(
        text.contains("/decision/placement/cost/egress_per_month") && text.contains("`-5`"),
        "{text}"
    );
    let (_, text) = differs(&|r| r.snapshot.generation += 1);
    assert!(text.contains("/decision/"), "{text}");
    let (_, text) = differs(&|r| r.placement = Digest::of_bytes(b"another"));
    assert!(text.contains("`/placement`"), "{text}");
    let (class, text) = differs(&|r| r.version = 2);
    assert_eq!(
        (class, text.as_str()),
        (Class::Unsupported, "read a record of version `2`: version `1` is known")
    );
    let (class, _) = differs(&|r| r.policy.name = "wishful".to_owned());
    assert_eq!(class, Class::NotFound);
    let newer = record.to_json().replacen("\"version\":1", "\"version\":9", 1);
    assert!(matches!(
        Record::from_json(&newer),
        Err(ReplayError::UnknownVersion { found: 9, known: 1 })
    ));
    assert!(matches!(
        Record::from_json("{\"version\":1}"),
        Err(ReplayError::Format(_))
    ));
    assert!(matches!(Record::from_json("no record"), Err(ReplayError::Format(_))));
}

/// A record as version 1 wrote it, of a small world.
const FIXTURE: &str = include_str!("fixtures/record-v1.json");

#[test]
fn the_stored_record_is_read_and_written_as_it_was() {
    let text = FIXTURE.trim_end();
    let read = Record::from_json(text).unwrap();
    assert_eq!(read.to_json(), text, "the format of version 1 is kept");
    assert_eq!(
        (read.policy.name.as_str(), read.decision.placement.assignments.len()),
        ("cheapest", 4)
    );
    match replay(&read) {
        // The engine may have learnt to decide better since; then it says where it differs.
        Ok(_) | Err(ReplayError::Differs { .. }) => {}
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn fields_that_came_later_have_defaults_and_unknown_ones_are_passed_over() {
    let mut value: serde_json::Value = serde_json::from_str(FIXTURE).unwrap();
    let config = value["config"].as_object_mut().unwrap();
    config.remove("quotas").unwrap();
    config.remove("may_move").unwrap();
    value["written_by_a_newer_writer"] = serde_json::json!({"of": "the same version"});
    let read = Record::from_json(&value.to_string()).unwrap();
    assert_eq!(read, Record::from_json(FIXTURE).unwrap());
}

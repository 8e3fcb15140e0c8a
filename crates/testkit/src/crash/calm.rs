//! What only a world at rest can show: that a run repeats (I10), that damaged journals are found out (I8), that changes
//! from outside are seen and others are not (I11), and that healing ends.

use std::time::Duration;

use skyloom_core::{
    Attributes, DriftField, DriftPolicy, Manifest, OwnerTag, ResourceId, Resources, RetryPolicy, StopSpec,
};
use skyloom_orchestrator::{HealHistory, HealPolicy, heal};
use skyloom_provider::sim::{SimCloud, SimThing};
use skyloom_provider::{Driver as _, Kind, PerMille, ResourceState};
use skyloom_runtime::store::{JournalEntry, read_log};

use super::controller::careless;
use super::dice::Dice;
use super::disk::JOURNAL;
use super::mutant::Mutant;
use super::oracle::Invariant;
use super::script::Wish;
use super::sim::{Sim, Stage};

type Violation = (Invariant, String);

/// Every so many worlds one is watched while a replica of it breaks down again and again.
const HEALED_ONE_IN: u64 = 16;

pub(super) fn violations(seed: u64, mutant: Option<Mutant>, rest: &mut Sim) -> Vec<Violation> {
    let mut found = repeats(seed, mutant);
    found.extend(outside(rest));
    if seed.is_multiple_of(HEALED_ONE_IN) {
        found.extend(healing(rest));
    }
    found
}

/// I10 and I8: two runs of a seed, crash included, byte for byte; the journal on the way is damaged in every manner.
fn repeats(seed: u64, mutant: Option<Mutant>) -> Vec<Violation> {
    let run = || {
        let mut sim = Sim::new(seed, mutant);
        let (mut log, mut journals) = (Vec::new(), Vec::new());
        let crash_at = sim.world.dice.below(200);
        while sim.stage != Stage::Done && sim.oracle.is_content() {
            if sim.moves == crash_at {
                sim.crash();
            }
            sim.step_logged(&mut log);
            let journal = sim.world.disk.durable(JOURNAL);
            if sim.moves.is_multiple_of(37) && journal.len() > 200 {
                journals.push(journal.to_vec());
            }
        }
        (log, journals)
    };
    let ((one, journals), (other, _)) = (run(), run());
    let mut found = Vec::new();
    if one != other {
        found.push((
            Invariant::I10,
            String::from("two runs of one seed have different event logs"),
        ));
    }
    let mut dice = Dice::new(seed);
    found.extend(journals.iter().find_map(|journal| damaged(journal, &mut dice, mutant)));
    found
}

/// I8: cut, flipped and swapped journals give the good prefix or an error, never anything else.
fn damaged(journal: &[u8], dice: &mut Dice, mutant: Option<Mutant>) -> Option<Violation> {
    let whole = read(journal, mutant).ok()?;
    for _ in 0..4 {
        let at = dice.below(journal.len());
        let cut = &journal[..at];
        let mut flipped = journal.to_vec();
        flipped[at] ^= 1 << dice.below(8);
        let mut lines: Vec<&[u8]> = journal.split_inclusive(|byte| *byte == b'\n').collect();
        let last_line = journal.len() - lines.last().map_or(0, |line| line.len());
        let (a, b) = (1 + dice.below(lines.len() - 1), 1 + dice.below(lines.len() - 1));
        lines.swap(a, b);
        let swapped = lines.concat();
        let cases = [
            (format!("cut at {at}"), cut, true),
            (format!("flipped at {at}"), flipped.as_slice(), at >= last_line),
            (
                format!("with lines {a} and {b} of {} swapped", lines.len()),
                swapped.as_slice(),
                a == b,
            ),
        ];
        for (how, bytes, may_be_read) in cases {
            let problem = match read(bytes, mutant) {
                Err(_) => continue,
                Ok(entries) if !whole.starts_with(&entries) => "gives what was never written",
                Ok(entries) if !may_be_read && entries.len() < whole.len() => "is cut short without a word",
                Ok(_) => continue,
            };
            return Some((Invariant::I8, format!("a journal {how} {problem}")));
        }
    }
    None
}

fn read(bytes: &[u8], mutant: Option<Mutant>) -> Result<Vec<String>, String> {
    let entries: Vec<JournalEntry> = if mutant == Some(Mutant::NoChecksum) {
        careless(bytes)
    } else {
        read_log(bytes).map_err(|error| error.to_string())?.records
    };
    let text = |entry: &JournalEntry| serde_json::to_string(entry).map_err(|error| error.to_string());
    entries.iter().map(text).collect()
}

/// I11: each single change from outside is found in one scan; what does not matter changes nothing.
fn outside(rest: &mut Sim) -> Vec<Violation> {
    let wish = rest.wish(&rest.world.script).clone();
    let runs = |thing: &SimThing| thing.resource.state == ResourceState::Running;
    let things: Vec<SimThing> = rest.world.cloud.oracle().into_iter().filter(runs).collect();
    let replicas = things.iter().filter(|thing| thing.resource.kind == Kind::Replica);
    let mut found = Vec::new();
    let mut dice = rest.world.dice.clone();
    for thing in replicas {
        let id = &thing.resource.id;
        for (change, field) in CHANGES {
            let mut sim = rest.clone();
            sim.world.cloud.advance(Duration::from_secs(60));
            let epoch = skyloom_provider::Epoch(u64::MAX >> 1);
            let (wish, corrects) = with_a_policy(&wish, thing, *field, &mut dice);
            let matters = corrects && is_shown(thing, *field);
            let cloud = sim.world.cloud.clone();
            let _ = match *change {
                "load" => cloud.set_load(id, PerMille::new(900)).is_ok(),
                "print" => cloud.print(id, "hello").is_ok(),
                "edit" => cloud.edit(id, |shown| edit(shown, *field)).is_ok(),
                "give away" => give_away(&cloud, id),
                "crash" => cloud.crash(id).is_ok(),
                "stop" => futures::executor::block_on(cloud.stop(id, StopSpec::default(), epoch)).is_ok(),
                _ => futures::executor::block_on(cloud.delete(id, StopSpec::default(), epoch)).is_ok(),
            };
            let Some(controller) = &mut sim.controller else {
                continue;
            };
            let planned = controller.propose(&mut sim.world, &wish);
            if planned != Ok(matters) {
                let why = format!(
                    "{} after `{change}` of {field:?} from outside, which {} be corrected: {planned:?}",
                    thing.resource.name,
                    if matters { "has to" } else { "must not" }
                );
                found.push((Invariant::I11, why));
            }
        }
    }
    found
}

/// What is done to a replica from outside, and which field that changes; none: nothing that matters.
const CHANGES: &[(&str, Option<DriftField>)] = &[
    ("load", None),
    ("print", None),
    ("crash", Some(DriftField::State)),
    ("stop", Some(DriftField::State)),
    ("delete", Some(DriftField::Missing)),
    ("edit", Some(DriftField::Image)),
    ("edit", Some(DriftField::Command)),
    ("edit", Some(DriftField::Env)),
    ("edit", Some(DriftField::Tags)),
    ("edit", Some(DriftField::Size)),
    ("give away", Some(DriftField::Owner)),
];

/// The wish with a drawn policy for the field, and whether it says to correct.
fn with_a_policy(wish: &Wish, thing: &SimThing, field: Option<DriftField>, dice: &mut Dice) -> (Wish, bool) {
    let mut wish = wish.clone();
    let Some(field) = field.filter(|field| field.has_policy()) else {
        return (wish, false);
    };
    let policy = [DriftPolicy::Correct, DriftPolicy::Report, DriftPolicy::Ignore][dice.below(3)];
    let service = thing.resource.name.split('/').next().unwrap_or_default();
    let services = wish.manifest.iter_mut().flat_map(|manifest| &mut manifest.services);
    for service in services.filter(|known| known.name.as_str() == service) {
        service.drift.insert(field, policy);
    }
    (wish, policy == DriftPolicy::Correct)
}

/// Whether the cloud shows that field of the thing; an image only where there is one.
fn is_shown(thing: &SimThing, field: Option<DriftField>) -> bool {
    field != Some(DriftField::Image) || thing.resource.observed.image.is_some()
}

fn edit(shown: &mut Attributes, field: Option<DriftField>) {
    match field {
        Some(DriftField::Image) => {
            if let Some(image) = &mut shown.image {
                image.push_str("-edited");
            }
        }
        Some(DriftField::Command) => shown.command.get_or_insert_default().push(String::from("--edited")),
        Some(DriftField::Env) => shown.env.get_or_insert_default().clear(),
        Some(DriftField::Tags) => shown.tags.get_or_insert_default().clear(),
        _ => shown.request = Some(Resources::ZERO),
    }
}

fn give_away(cloud: &SimCloud, id: &ResourceId) -> bool {
    OwnerTag::new("somebody-else").is_ok_and(|owner| cloud.give_away(id, owner).is_ok())
}

/// I11: a replica that breaks down whenever it runs is replaced a bounded number of times.
fn healing(rest: &Sim) -> Option<Violation> {
    let mut sim = rest.clone();
    let wish = sim.wish(&sim.world.script).clone();
    let manifest: &Manifest = wish.manifest.as_ref()?;
    let mut policy =
        HealPolicy::new().with_backoff(RetryPolicy::new(3, Duration::from_secs(5), Duration::from_secs(60)));
    if sim.world.mutant == Some(Mutant::EagerHealing) {
        policy = policy
            .with_backoff(RetryPolicy::new(u32::MAX, Duration::ZERO, Duration::ZERO))
            .with_budget(u32::MAX, Duration::from_secs(1));
    }
    let victim = format!("{}/0", manifest.services.first()?.name);
    let (mut history, mut replaced) = (HealHistory::new(), 0);
    for _ in 0..40 {
        for thing in sim.world.cloud.oracle() {
            if thing.resource.name == victim && thing.resource.state == ResourceState::Running {
                let _ = sim.world.cloud.crash(&thing.resource.id);
            }
        }
        sim.world.cloud.advance(Duration::from_secs(10));
        let snapshot = sim.controller.as_mut()?.observe(&mut sim.world).ok()?;
        let decision = heal(manifest, &snapshot, &history, &policy, sim.world.cloud.now());
        let due = decision.replacements().next().is_some();
        history = decision.history;
        if due {
            replaced += 1;
            sim.stage = Stage::Calm;
            sim.run_plan();
        }
    }
    // Three attempts: the first life and two more.
    (replaced > 3).then(|| {
        (
            Invariant::I11,
            format!("{victim} was replaced {replaced} times in 400 s"),
        )
    })
}

//! Suppositions from the command line: what a price, an outage, growth or a rule would do to a deployment.
//!
//! The reader learns to ask the scheduler before something happens: what the new plan costs, what moves, what staying put
//! would cost, how far from the best the answers can be, why a replica is not somewhere else; and to write a decision
//! down so that anybody can make it again: `what_if --outage aws --growth frontend=3 --why "frontend/0=gcp/europe-west1
//! n2-standard-2" --record decision.json`, then `what_if --replay decision.json`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use serde::Serialize;
use skyloom::core::{MicroUsd, Snapshot, Timestamp, check_places};
use skyloom::scheduler::policy::by_name;
use skyloom::scheduler::record::{PolicyName, Record, record, replay};
use skyloom::scheduler::what_if::{Change, Consequences, GrowthOf, PriceChange, Rule, what_if};
use skyloom::scheduler::{
    Answer, Decision, Effort, PlaceConfig, Problem, Question, WORK_MAX_DEFAULT, check_within, why,
};
use skyloom::{Catalogue, Manifest};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The shop of the main example.
const SHOP: &str = include_str!("shop/shop.toml");

/// Says what would follow from a change, with every reason.
#[derive(Debug, Parser)]
struct Arguments {
    /// The manifest; the shop of the main example by default.
    #[arg(long)]
    manifest: Option<PathBuf>,
    /// A change, or a list of changes, as JSON: `{"rule": {"forbid-cloud": "aws"}}`.
    #[arg(long, value_name = "JSON")]
    change: Vec<String>,
    /// A place that is gone: `aws`, `aws/eu-west-1` or `aws/eu-west-1:eu-west-1a`.
    #[arg(long, value_name = "PLACE")]
    outage: Vec<String>,
    /// A service with many times the replicas, `*` for all: `frontend=3`.
    #[arg(long, value_name = "SERVICE=FACTOR")]
    growth: Vec<String>,
    /// Machines that cost many times as much: `aws=1.2`, `gcp/europe-west1=0.9`, `*/*/m7g.*/spot=2`.
    #[arg(long, value_name = "SELECTOR=FACTOR")]
    price: Vec<String>,
    /// A cloud or region in which nothing may run.
    #[arg(long, value_name = "CLOUD[/REGION]")]
    forbid: Vec<String>,
    /// Another budget, in dollars per month.
    #[arg(long, value_name = "USD")]
    budget: Option<String>,
    /// Why a replica of today's plan is not there: `frontend/0=aws/eu-west-1 m7g.large`.
    #[arg(long, value_name = "REPLICA=OPTION")]
    why: Vec<String>,
    /// The policy.
    #[arg(long, default_value = "cheapest")]
    policy: String,
    /// Its seed.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Units of work that each decision may take.
    #[arg(long, default_value_t = WORK_MAX_DEFAULT)]
    work: u64,
    /// Writes today's decision with everything that it was made from.
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Reads such a file, decides again and confirms every byte; nothing else is done.
    #[arg(long, value_name = "FILE")]
    replay: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Answers {
    today: Decision,
    gap: Option<f64>,
    why: Vec<Answer>,
    consequences: Option<Consequences>,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("failed to {}", chain(failure.as_ref()));
            ExitCode::from(2)
        }
    }
}

/// A failure with its causes.
fn chain(failure: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(failure.source(), |cause| cause.source());
    causes.fold(failure.to_string(), |text, cause| format!("{text}: {cause}"))
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    if let Some(path) = &arguments.replay {
        return confirm(path, arguments.json);
    }
    let manifest = read_manifest(arguments.manifest.as_deref())?;
    let catalogue = Catalogue::builtin();
    check_places(&manifest, &catalogue)?;
    let snapshot = Snapshot::empty(0, Timestamp::EPOCH);
    let problem = Problem {
        manifest: &manifest,
        snapshot: &snapshot,
        catalogue: &catalogue,
    };
    let config = PlaceConfig::new().with_work_max(arguments.work);
    let name = PolicyName {
        name: arguments.policy.clone(),
        seed: arguments.seed,
    };
    let record = record(&problem, &name, &config, &mut Effort::units(arguments.work))?;
    if let Some(path) = &arguments.record {
        std::fs::write(path, record.to_json()).map_err(|error| format!("write `{}`: {error}", path.display()))?;
    }
    let policy = by_name(&name.name, name.seed).ok_or("find the policy")?;
    let today = record.decision;
    let questions = arguments.why.iter().map(|text| question(text));
    let answered = questions.map(|asked| Ok(why(&problem, policy.as_ref(), &config, &today.placement, &asked?)?));
    let changes = changes(arguments)?;
    let answers = Answers {
        gap: today.gap(),
        why: answered.collect::<Result<_, Failure>>()?,
        consequences: (!changes.is_empty())
            .then(|| what_if(&problem, policy.as_ref(), &config, &changes))
            .transpose()?,
        today,
    };
    if arguments.json {
        println!("{}", serde_json::to_string(&answers)?);
    } else {
        show(&answers);
    }
    // The chapter's assertion: today's plan keeps every rule, and costs no less than what is proven to be the least.
    let broken = check_within(&problem, &config.quotas, &answers.today.placement);
    let total = answers.today.placement.cost.total_per_month;
    let proven = answers
        .today
        .lower_bound
        .is_none_or(|bound| bound.total_per_month <= total);
    match broken.first() {
        Some(violation) => Err(format!("keep every rule: {violation}").into()),
        None if !proven => Err("cost at least what is proven to be the least".into()),
        None => Ok(()),
    }
}

fn read_manifest(path: Option<&Path>) -> Result<Manifest, Failure> {
    let Some(path) = path else {
        return Ok(Manifest::parse(SHOP, "shop.toml")?);
    };
    let bytes = std::fs::read(path).map_err(|error| format!("read `{}`: {error}", path.display()))?;
    Ok(Manifest::parse_bytes(&bytes, &path.display().to_string())?)
}

/// Decides again from a record, and compares.
fn confirm(path: &Path, json: bool) -> Result<(), Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("read `{}`: {error}", path.display()))?;
    let record = Record::from_json(&text)?;
    let decision = replay(&record)?;
    let (total, digest) = (decision.placement.cost.total_per_month, record.placement);
    if json {
        println!(
            "{}",
            serde_json::json!({"replayed": true, "placement": digest, "usd_per_month": total.as_usd()})
        );
    } else {
        println!(
            "the decision was made again to the last byte: placement {}, {total} per month",
            digest.short()
        );
    }
    Ok(())
}

/// The changes of all options, outages first.
fn changes(arguments: &Arguments) -> Result<Vec<Change>, Failure> {
    let mut changes = Vec::new();
    for place in &arguments.outage {
        changes.push(Change::Outage(place.parse()?));
    }
    for text in &arguments.price {
        let (offers, factor) = halves(text)?;
        changes.push(Change::Price {
            offers: offers.parse()?,
            to: PriceChange::Factor(number(factor)?),
        });
    }
    for text in &arguments.growth {
        let (service, factor) = halves(text)?;
        changes.push(Change::Growth {
            service: (service != "*").then(|| service.parse()).transpose()?,
            of: GrowthOf::Replicas,
            factor: number(factor)?,
        });
    }
    for place in &arguments.forbid {
        changes.push(Change::Rule(if place.contains('/') {
            Rule::ForbidRegion(place.parse()?)
        } else {
            Rule::ForbidCloud(place.parse()?)
        }));
    }
    if let Some(budget) = &arguments.budget {
        changes.push(Change::Rule(Rule::Budget(Some(budget.parse::<MicroUsd>()?))));
    }
    for text in &arguments.change {
        let value: serde_json::Value =
            serde_json::from_str(text).map_err(|error| format!("read the change `{text}`: {error}"))?;
        let list = match value {
            serde_json::Value::Array(list) => list,
            one => vec![one],
        };
        for change in list {
            changes.push(serde_json::from_value(change).map_err(|error| format!("read the change `{text}`: {error}"))?);
        }
    }
    Ok(changes)
}

fn halves(text: &str) -> Result<(&str, &str), Failure> {
    text.rsplit_once('=')
        .ok_or_else(|| format!("read `{text}`: expected `WHAT=FACTOR`").into())
}

fn number(text: &str) -> Result<f64, Failure> {
    text.parse().map_err(|_| format!("read `{text}` as a factor").into())
}

fn question(text: &str) -> Result<Question, Failure> {
    let (replica, option) = text
        .split_once('=')
        .ok_or_else(|| format!("read `{text}`: expected `REPLICA=OPTION`"))?;
    Ok(Question {
        replica: replica.parse()?,
        option: option.parse()?,
    })
}

fn show(answers: &Answers) {
    let today = &answers.today;
    println!(
        "{} replicas on {} machines, {} per month",
        today.placement.assignments.len(),
        today.placement.machines.len(),
        today.placement.cost.total_per_month
    );
    if let (Some(bound), Some(gap)) = (today.lower_bound, answers.gap) {
        println!(
            "proven: no plan costs less than {}; the gap is {:.2} %",
            bound.total_per_month,
            gap * 100.0
        );
    }
    if answers.why.is_empty() && answers.consequences.is_none() {
        for reasons in &today.reasons {
            println!("\n{reasons}");
        }
    }
    for answer in &answers.why {
        println!("\n{answer}");
    }
    if let Some(consequences) = &answers.consequences {
        println!("\n{consequences}");
    }
}

//! Availability: the cheapest replicas, on demand and spot, of which enough are up often enough.
//!
//! The reader learns why the cheapest mix is rarely the one with the fewest replicas: zones fail whole, spot goes all at
//! once, and the answer says what the next best mix and the lower bound cost. Try
//! `availability --slo 0.9995 --need 3 --domain a,0.10,0.03,0.0005,0.001,0.02,0.05 --domain b,0.11,0.03,0.0005,0.001,0.02,0.05`.

use std::process::ExitCode;

use clap::Parser;
use serde::Serialize;
use skyloom::core::{MicroUsdPerHour, Ratio};
use skyloom::scheduler::Effort;
use skyloom::scheduler::risk::availability::{
    Availability, AvailabilityProblem, Domain, Priced, Region, Supply, cheapest_mix,
};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Prints the cheapest replicas for an availability.
#[derive(Debug, Parser)]
struct Arguments {
    /// Chance that enough replicas are up, such as 0.9995.
    #[arg(long)]
    slo: f64,
    /// Replicas that must be up.
    #[arg(long)]
    need: u32,
    /// `name,on_demand_usd,spot_usd,p_zone,p_on_demand,p_spot[,p_spot_gone[,max[,region]]]`: prices per hour (`-` where a
    /// kind is not sold), chances that the domain, a replica of each kind, and all its spot at once are down, most
    /// replicas, region.
    #[arg(long = "domain", required = true)]
    domains: Vec<String>,
    /// `name,p_region[,on_demand_max[,spot_max]]`
    #[arg(long = "region")]
    regions: Vec<String>,
    /// Replicas that run already: `domain,on_demand,spot`.
    #[arg(long = "running")]
    running: Vec<String>,
    /// Partial mixes weighed at most.
    #[arg(long, default_value_t = 5_000_000)]
    work: u64,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Answer<'a> {
    slo: f64,
    need: u32,
    usd_per_hour: f64,
    lower_bound_usd_per_hour: f64,
    #[serde(flatten)]
    availability: &'a Availability,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("failed to {failure}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut domains = arguments
        .domains
        .iter()
        .map(|text| domain(text))
        .collect::<Result<Vec<_>, _>>()?;
    for text in &arguments.running {
        keep(&mut domains, text)?;
    }
    let problem = AvailabilityProblem {
        need: arguments.need,
        slo: Ratio::new(arguments.slo)?,
        domains,
        regions: arguments
            .regions
            .iter()
            .map(|text| region(text))
            .collect::<Result<_, _>>()?,
    };
    let availability = cheapest_mix(&problem, &mut Effort::units(arguments.work))?;
    if arguments.json {
        let answer = Answer {
            slo: arguments.slo,
            need: arguments.need,
            usd_per_hour: availability.best.cost.as_usd(),
            lower_bound_usd_per_hour: availability.lower_bound.as_usd(),
            availability: &availability,
        };
        println!("{}", serde_json::to_string(&answer)?);
    } else {
        show(&availability);
    }
    // The chapter's assertion: what is promised is kept, and no dearer than what was next.
    let is_next = |next: &Priced| next.cost >= availability.best.cost;
    if availability.best.shortfall <= 1.0 - arguments.slo + f64::EPSILON && availability.runner_up.iter().all(is_next) {
        Ok(())
    } else {
        Err("keep the availability that was promised".into())
    }
}

fn show(availability: &Availability) {
    let row = |title: &str, priced: &Priced| {
        println!(
            "{title:12} {}, up with probability {:.9}",
            priced.cost, priced.probability
        );
        for mix in &priced.mix {
            println!(
                "    {:20} {:>4} on demand {:>4} spot",
                mix.domain, mix.on_demand, mix.spot
            );
        }
    };
    row("best", &availability.best);
    if let Some(next) = &availability.runner_up {
        row("runner-up", next);
    }
    println!(
        "lower bound  {}, gap {:.2}%, {} partial mixes weighed",
        availability.lower_bound,
        availability.gap * 100.0,
        availability.work
    );
}

fn fields(text: &str, least: usize, most: usize) -> Result<Vec<&str>, Failure> {
    let fields: Vec<&str> = text.split(',').map(str::trim).collect();
    if (least..=most).contains(&fields.len()) {
        return Ok(fields);
    }
    Err(format!("read `{text}`: {least} to {most} fields are expected").into())
}

fn chance(text: &str) -> Result<Ratio, Failure> {
    let value: f64 = text.parse().map_err(|_| format!("read `{text}` as a probability"))?;
    Ok(Ratio::new(value)?)
}

fn domain(text: &str) -> Result<Domain, Failure> {
    let fields = fields(text, 6, 9)?;
    let supply = |price: &str, down: &str| -> Result<Option<Supply>, Failure> {
        if price.is_empty() || price == "-" {
            return Ok(None);
        }
        let price: MicroUsdPerHour = price.parse()?;
        Ok(Some(Supply::new(price, chance(down)?)))
    };
    let mut domain = Domain::new(fields[0], chance(fields[3])?);
    domain.on_demand = supply(fields[1], fields[4])?;
    domain.spot = supply(fields[2], fields[5])?;
    if let (Some(spot), Some(gone)) = (&mut domain.spot, fields.get(6)) {
        spot.gone = chance(gone)?;
    }
    domain.max = count(fields.get(7))?;
    domain.region = fields.get(8).map(|name| (*name).to_owned());
    Ok(domain)
}

fn region(text: &str) -> Result<Region, Failure> {
    let fields = fields(text, 2, 4)?;
    let mut region = Region::new(fields[0], chance(fields[1])?);
    region.on_demand_max = count(fields.get(2))?;
    region.spot_max = count(fields.get(3))?;
    Ok(region)
}

/// A limit; none where the field is missing, empty or `-`.
fn count(text: Option<&&str>) -> Result<Option<u32>, Failure> {
    match text {
        None | Some(&("" | "-")) => Ok(None),
        Some(text) => Ok(Some(
            text.parse()
                .map_err(|_| format!("read `{text}` as a number of replicas"))?,
        )),
    }
}

fn keep(domains: &mut [Domain], text: &str) -> Result<(), Failure> {
    let fields = fields(text, 3, 3)?;
    let found = domains.iter_mut().find(|domain| domain.name == fields[0]);
    let domain = found.ok_or_else(|| format!("find the domain of `{text}`"))?;
    for (supply, running) in [(&mut domain.on_demand, fields[1]), (&mut domain.spot, fields[2])] {
        let running = count(Some(&running))?.unwrap_or(0);
        match supply {
            Some(supply) => supply.running = running,
            None if running == 0 => {}
            None => return Err(format!("keep what is not sold: `{text}`").into()),
        }
    }
    Ok(())
}

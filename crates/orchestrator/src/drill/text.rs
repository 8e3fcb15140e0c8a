//! The report for people.

use std::fmt;
use std::time::Duration;

use super::data::SurvivingCopy;
use super::report::{DrillMode, DrillReport, ServiceRecovery};

impl fmt::Display for DrillReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = match self.mode {
            DrillMode::Rehearsal { seed } => format!("rehearsed with seed {seed}"),
            DrillMode::DryRun => "dry run against the inventory".to_owned(),
        };
        writeln!(f, "loss of {}, {how}", self.loss)?;
        write!(
            f,
            "  lost: {} replicas on {} machines",
            self.replicas_lost, self.machines_lost
        )?;
        match self.declared_after {
            Some(after) => writeln!(f, ", declared after {}", seconds(after))?,
            None => writeln!(f)?,
        }
        writeln!(
            f,
            "  RTO: {}",
            self.rto().map_or_else(|| "not reached".to_owned(), seconds)
        )?;
        for service in &self.services {
            writeln!(f, "    {}", of_service(service))?;
        }
        let rpo = || match self.rpo() {
            Some(age) => seconds(age),
            None => "unknown".to_owned(),
        };
        if self.data.is_empty() {
            writeln!(f, "  RPO: there are no data sets")?;
        } else {
            writeln!(f, "  RPO: {}", rpo())?;
        }
        for data in &self.data {
            writeln!(f, "    {:<16} {}", data.data, of_copy(&data.copy))?;
        }
        self.money(f)?;
        for unplaced in &self.unplaced {
            writeln!(
                f,
                "  no place for {} by the {} rule: {}",
                unplaced.replica, unplaced.filter, unplaced.reason
            )?;
        }
        if let Some(rule) = &self.refused {
            writeln!(f, "  no placement at all: {rule}")?;
        }
        for shortfall in &self.shortfalls {
            writeln!(
                f,
                "  short of {}, asked for {} times",
                shortfall.what, shortfall.refused
            )?;
        }
        Ok(())
    }
}

impl DrillReport {
    fn money(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cost = &self.cost;
        writeln!(
            f,
            "  cost: {} before, at most {} during, {} after; {} lost and still charged",
            cost.before, cost.during, cost.after, cost.lost_but_charged
        )?;
        let failover = cost
            .failover
            .map_or_else(|| "not known".to_owned(), |cost| cost.to_string());
        let egress = cost
            .egress_after_per_month
            .map_or_else(|| "not known".to_owned(), |cost| cost.to_string());
        writeln!(
            f,
            "  the failover itself: {failover}; traffic {} a month before, {egress} after{}",
            cost.egress_before_per_month,
            if cost.egress_assumed { " (partly assumed)" } else { "" }
        )
    }
}

fn of_service(service: &ServiceRecovery) -> String {
    let rto = match service.rto {
        Some(rto) if service.lost == 0 && rto.is_zero() => "untouched".to_owned(),
        Some(rto) => format!("again after {}", seconds(rto)),
        None => "not again".to_owned(),
    };
    let below = if service.below_floor.is_zero() {
        String::new()
    } else {
        format!(
            ", {} below its floor of {}",
            seconds(service.below_floor),
            service.floor
        )
    };
    format!(
        "{:<16} {} of {} lost, {} healthy at the end, {rto}{below}",
        service.service, service.lost, service.replicas, service.healthy
    )
}

fn of_copy(copy: &SurvivingCopy) -> String {
    match copy {
        SurvivingCopy::Primary { region } => format!("the primary in {region} survives"),
        SurvivingCopy::Synced { region, age, .. } => format!("the copy in {region} is {} old", seconds(*age)),
        SurvivingCopy::Unknown { region } => {
            format!("the copy in {region} was never recorded as synchronised: its age is unknown")
        }
        SurvivingCopy::None => "no copy survives".to_owned(),
    }
}

fn seconds(time: Duration) -> String {
    format!("{}.{} s", time.as_secs(), time.subsec_millis() / 100)
}

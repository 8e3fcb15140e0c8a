//! Burstable and shared-core machine types: how much of their CPU can be used all the time.
//!
//! Such types are sold by nominal vCPUs that they may use only in bursts, so they win every comparison by nominal CPU.
//! This table is the whole knowledge about it; readers and the built-in catalogue both go through [`sustained_cpu`].

use crate::{CloudId, InstanceType, Millicores};

/// Share of the nominal CPU that is counted where a cloud sells shared CPUs and publishes no baseline: Vultr's `vc2` and
/// `vhf`, Linode's `nanode` and `standard`, DigitalOcean's `s-*`, and sizes of burstable families that are not in the
/// tables below. An assumption: one half, what GCP grants the largest of its shared-core types.
pub const UNPUBLISHED_BASELINE_PERCENT: u64 = 50;

/// A size within a family and its baseline in thousandths of a core, all vCPUs together.
type Baseline = (&'static str, u64);

/// AWS EC2 user guide, "Key concepts for burstable performance instances": credits earned per hour over 60.
const AWS_T2: [Baseline; 7] = [
    ("nano", 50),
    ("micro", 100),
    ("small", 200),
    ("medium", 400),
    ("large", 600),
    ("xlarge", 900),
    ("2xlarge", 1360),
];
/// The same for t3, t3a and t4g.
const AWS_T3: [Baseline; 7] = [
    ("nano", 100),
    ("micro", 200),
    ("small", 400),
    ("medium", 400),
    ("large", 600),
    ("xlarge", 1600),
    ("2xlarge", 3200),
];
/// Azure, Bv1 size series, base CPU performance (normalised to 0..=100 % of all vCPUs since 2024) times the vCPUs.
const AZURE_B_V1: [Baseline; 10] = [
    ("B1ls", 50),
    ("B1s", 100),
    ("B1ms", 200),
    ("B2s", 400),
    ("B2ms", 600),
    ("B4ms", 900),
    ("B8ms", 1360),
    ("B12ms", 2040),
    ("B16ms", 2720),
    ("B20ms", 3400),
];
/// Azure, Bsv2, Basv2 and Bpsv2 size series, base CPU performance in percent of all vCPUs, by the memory letters of the
/// name.
const AZURE_B_V2_PERCENT: [Baseline; 3] = [("ts", 20), ("ls", 30), ("s", 40)];
/// Google Compute Engine, shared-core machine types: share of a vCPU times the vCPUs.
const GCP_SHARED: [Baseline; 5] = [
    ("e2-micro", 250),
    ("e2-small", 500),
    ("e2-medium", 1000),
    ("f1-micro", 200),
    ("g1-small", 500),
];

/// The CPU that a machine type can use all the time, at most `nominal`. Types that are neither burstable nor shared
/// give `nominal`.
///
/// ```
/// use skyloom_core::catalogue::sustained_cpu;
/// use skyloom_core::Millicores;
///
/// let two = Millicores::from_cores(2);
/// assert_eq!(sustained_cpu(&"aws".parse()?, &"t3.medium".parse()?, two), Millicores::from_millicores(400));
/// assert_eq!(sustained_cpu(&"aws".parse()?, &"m5.large".parse()?, two), two);
/// # Ok::<(), skyloom_core::IdError>(())
/// ```
#[must_use]
pub fn sustained_cpu(cloud: &CloudId, instance: &InstanceType, nominal: Millicores) -> Millicores {
    let name = instance.as_str();
    let baseline = match cloud.as_str() {
        "aws" => aws(name, nominal),
        "azure" => azure(name, nominal),
        "gcp" => lookup(&GCP_SHARED, name).map(Millicores::from_millicores),
        "do" => name
            .starts_with("s-")
            .then(|| percent(nominal, UNPUBLISHED_BASELINE_PERCENT)),
        "linode" => {
            let shared = name.contains("-nanode-") || name.contains("-standard-");
            shared.then(|| percent(nominal, UNPUBLISHED_BASELINE_PERCENT))
        }
        "vultr" => {
            let shared = name.starts_with("vc2-") || name.starts_with("vhf-");
            shared.then(|| percent(nominal, UNPUBLISHED_BASELINE_PERCENT))
        }
        _ => None,
    };
    baseline.map_or(nominal, |baseline| baseline.min(nominal))
}

fn aws(name: &str, nominal: Millicores) -> Option<Millicores> {
    let (family, size) = name.split_once('.')?;
    let table = match family {
        "t2" => &AWS_T2,
        "t3" | "t3a" | "t4g" => &AWS_T3,
        "t1" => return Some(percent(nominal, UNPUBLISHED_BASELINE_PERCENT)),
        _ => return None,
    };
    let published = lookup(table, size).map(Millicores::from_millicores);
    Some(published.unwrap_or_else(|| percent(nominal, UNPUBLISHED_BASELINE_PERCENT)))
}

fn azure(name: &str, nominal: Millicores) -> Option<Millicores> {
    let size = name.strip_prefix("Standard_").unwrap_or(name);
    let digits = size.strip_prefix('B')?;
    let letters = digits.trim_start_matches(|c: char| c.is_ascii_digit());
    if letters.len() == digits.len() {
        return None;
    }
    let published = match letters.strip_suffix("_v2") {
        // The processor letter comes first: `a` AMD, `p` Arm, none Intel.
        Some(memory) => {
            let memory = memory.trim_start_matches(['a', 'p']);
            lookup(&AZURE_B_V2_PERCENT, memory).map(|share| percent(nominal, share))
        }
        None => lookup(&AZURE_B_V1, size).map(Millicores::from_millicores),
    };
    Some(published.unwrap_or_else(|| percent(nominal, UNPUBLISHED_BASELINE_PERCENT)))
}

fn lookup(table: &[Baseline], name: &str) -> Option<u64> {
    table.iter().find(|(size, _)| *size == name).map(|(_, amount)| *amount)
}

/// Rounded down, at least one thousandth.
fn percent(nominal: Millicores, share: u64) -> Millicores {
    let milli = nominal.as_millicores();
    let part = milli.checked_mul(share).map_or(milli, |product| product / 100);
    Millicores::from_millicores(part.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn baselines_are_what_the_clouds_publish() {
        let rows: &[(&str, &str, u32, u64)] = &[
            ("aws", "t3.nano", 2, 100),
            ("aws", "t4g.2xlarge", 8, 3200),
            ("aws", "t2.medium", 2, 400),
            ("aws", "t1.micro", 1, 500),
            ("aws", "t3.unheardof", 2, 1000),
            ("aws", "trn1.2xlarge", 8, 8000),
            ("azure", "Standard_B2s", 2, 400),
            ("azure", "Standard_B1ls", 1, 50),
            ("azure", "Standard_B2ats_v2", 2, 400),
            ("azure", "Standard_B4pls_v2", 4, 1200),
            ("azure", "Standard_B4s_v2", 4, 1600),
            ("azure", "Standard_B4x_v9", 4, 2000),
            ("azure", "Basic_A1", 1, 1000),
            ("azure", "Standard_D2s_v5", 2, 2000),
            ("gcp", "e2-micro", 2, 250),
            ("gcp", "e2-standard-2", 2, 2000),
            ("do", "s-4vcpu-8gb", 4, 2000),
            ("do", "g-2vcpu-8gb", 2, 2000),
            ("linode", "g6-nanode-1", 1, 500),
            ("linode", "g6-dedicated-2", 2, 2000),
            ("vultr", "vc2-1c-1gb", 1, 500),
            ("nebius", "cpu-d3_4vcpu-16gb", 4, 4000),
        ];
        for (cloud, instance, nominal, expected) in rows {
            let nominal = Millicores::from_cores(*nominal);
            let got = sustained_cpu(&cloud.parse().unwrap(), &instance.parse().unwrap(), nominal);
            assert_eq!(got.as_millicores(), *expected, "{cloud} {instance}");
        }
    }

    #[test]
    fn a_fractional_nominal_is_never_exceeded() {
        let quarter = Millicores::from_millicores(125);
        assert_eq!(
            sustained_cpu(&"gcp".parse().unwrap(), &"e2-micro".parse().unwrap(), quarter),
            quarter
        );
    }
}

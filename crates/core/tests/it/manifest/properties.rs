//! What holds for every text and every manifest.

use std::collections::BTreeMap;
use std::num::{NonZeroU16, NonZeroU32};
use std::time::Duration;

use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use skyloom_core::{
    Affinity, Analysis, BackupSpec, Budget, Bytes, CanaryStep, Condition, DataClass, DataName, DataReplica, DataSpec,
    Dependency, DriftField, DriftPolicy, EgressNeed, EnvValue, HealthCheck, HealthProbe, Jurisdiction, LatencyLimit,
    Limit, Link, Manifest, ManifestError, MicroUsd, MicroUsdPerHour, Millicores, Milligpus, Millionths, PortSpec,
    Protocol, PurchasePreference, RegionKey, Residency, Resources, Revenue, Rollout, RolloutStrategy, RunSpec,
    SecretRef, ServiceName, ServiceSpec, Share, SpreadOver, SpreadRule, StopSpec, SyncMode, SyncSpec, Toleration,
};

use super::{CLINIC_TOML, CLINIC_YAML, print};

/// The place of an error is inside of the text, or just behind its last character.
fn check_place(text: &str, error: &ManifestError) -> Result<(), TestCaseError> {
    let at = error.location();
    let text = text
        .strip_prefix('\u{feff}')
        .unwrap_or(text)
        .replace("\r\n", "\n")
        .replace('\r', "\n");
    let line = text.split('\n').nth(usize::try_from(at.line).unwrap() - 1);
    let length = line.map(|line| line.chars().count());
    prop_assert!(
        length.is_some_and(|length| usize::try_from(at.column).unwrap() <= length + 1),
        "{at} {error}"
    );
    let head = format!(
        "parse `{}`: line {}, column {}: ",
        error.source_name(),
        at.line,
        at.column
    );
    prop_assert!(error.to_string().starts_with(&head), "{}", error);
    Ok(())
}

fn check_both(text: &str) -> Result<(), TestCaseError> {
    for source in ["x.toml", "x.yaml"] {
        if let Err(error) = Manifest::parse(text, source) {
            check_place(text, &error)?;
        }
    }
    Ok(())
}

/// A good manifest, damaged.
#[derive(Debug, Clone)]
enum Damage {
    Cut(usize),
    Double(usize),
    Drop(usize),
    Flip(usize, u8),
    Insert(usize, String),
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        any::<usize>().prop_map(Damage::Cut),
        any::<usize>().prop_map(Damage::Double),
        any::<usize>().prop_map(Damage::Drop),
        (any::<usize>(), any::<u8>()).prop_map(|(at, bits)| Damage::Flip(at, bits)),
        (any::<usize>(), r"[\[\]{}:,\-.=#&*!|>'\x22 \n\r\t0-9a-zü€]{1,8}")
            .prop_map(|(at, text)| Damage::Insert(at, text)),
    ]
}

fn damaged(text: &str, damages: &[Damage]) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    for damage in damages {
        let line_count = bytes.split(|b| *b == b'\n').count();
        let lines: Vec<Vec<u8>> = bytes.split(|b| *b == b'\n').map(<[u8]>::to_vec).collect();
        let at = |n: &usize| n % (bytes.len() + 1);
        match damage {
            Damage::Cut(n) => bytes.truncate(at(n)),
            Damage::Double(n) | Damage::Drop(n) => {
                let copies = if matches!(damage, Damage::Double(_)) { 2 } else { 0 };
                let repeated = lines.iter().enumerate().flat_map(|(i, line)| {
                    let copies = if i == n % line_count { copies } else { 1 };
                    std::iter::repeat_n(line.clone(), copies)
                });
                bytes = repeated.collect::<Vec<_>>().join(&b'\n');
            }
            Damage::Flip(n, bits) => {
                let at = at(n);
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= bits;
                }
            }
            Damage::Insert(n, text) => {
                let at = at(n);
                bytes.splice(at..at, text.bytes());
            }
        }
    }
    bytes
}

fn label() -> impl Strategy<Value = String> {
    "[a-z0-9][a-z0-9_-]{0,6}"
}

fn millis(min: u64) -> impl Strategy<Value = Duration> {
    (min..10_000_000).prop_map(Duration::from_millis)
}

fn money() -> impl Strategy<Value = i64> {
    0..1_000_000_000_000_000_i64
}

fn residency() -> impl Strategy<Value = Residency> {
    let codes = || btree_set("[A-Z]{2,8}".prop_map(|code| Jurisdiction::new(code).unwrap()), 0..3);
    (codes(), codes()).prop_map(|(allow, deny)| Residency { allow, deny, at: None })
}

fn given_residency() -> impl Strategy<Value = Residency> {
    residency().prop_filter("a rule says something", |rule| *rule != Residency::default())
}

fn region() -> impl Strategy<Value = RegionKey> {
    (label(), "[a-zA-Z0-9.-]{1,10}").prop_map(|(cloud, region)| RegionKey {
        cloud: cloud.parse().unwrap(),
        region: region.parse().unwrap(),
    })
}

fn resources() -> impl Strategy<Value = Resources> {
    (1..u64::MAX, 1..u64::MAX, any::<u64>(), any::<u64>()).prop_map(|(cpu, memory, disk, gpu)| Resources {
        cpu: Millicores::from_millicores(cpu),
        memory: Bytes::from_bytes(memory),
        disk: Bytes::from_bytes(disk),
        gpu: Milligpus::from_milligpus(gpu),
    })
}

fn words() -> impl Strategy<Value = String> {
    any::<String>().prop_map(|text| text.replace('\0', ""))
}

fn env(services: Vec<ServiceName>, data: Vec<DataName>) -> impl Strategy<Value = BTreeMap<String, EnvValue>> {
    let text = words().prop_map(|text| text.replace('{', "{{").replace('}', "}}"));
    let secret = (label(), "[!-\"$-~]{1,9}", option::of("[a-z0-9]{1,4}"))
        .prop_map(|(backend, name, version)| EnvValue::Secret(SecretRef { backend, name, version }));
    let endpoints = select(services).prop_map(|name| EnvValue::Text(format!("x{{service.{name}.endpoints}}")));
    let place = if data.is_empty() {
        Just(EnvValue::Text("none".to_owned())).boxed()
    } else {
        select(data)
            .prop_map(|name| EnvValue::Text(format!("{{data.{name}}}/y")))
            .boxed()
    };
    btree_map(
        "[A-Za-z_]{1,6}",
        prop_oneof![text.prop_map(EnvValue::Text), secret, endpoints, place],
        0..4,
    )
}

fn ports() -> impl Strategy<Value = Vec<PortSpec>> {
    let one = (select(vec![Protocol::Tcp, Protocol::Udp]), option::of(1..=u16::MAX));
    (btree_map(label(), one, 0..3)).prop_map(|ports| {
        let mut seen = std::collections::BTreeSet::new();
        let spec = |(name, (protocol, port)): (String, (Protocol, Option<u16>))| {
            let port = port.filter(|number| seen.insert((protocol, *number)));
            PortSpec {
                name: name.parse().unwrap(),
                protocol,
                port: port.and_then(NonZeroU16::new),
            }
        };
        ports.into_iter().map(spec).collect()
    })
}

fn health(ports: &[PortSpec]) -> impl Strategy<Value = HealthCheck> + use<> {
    let tcp = ports
        .iter()
        .find(|port| port.protocol == Protocol::Tcp)
        .map(|port| port.name.clone());
    let exec = vec("[a-z]{1,5}", 1..3).prop_map(|command| HealthProbe::Exec { command });
    let probe = match tcp {
        None => exec.boxed(),
        Some(port) => {
            let http = ("/[!-~]{0,8}", Just(port.clone())).prop_map(|(path, port)| HealthProbe::Http { port, path });
            prop_oneof![exec, http, Just(HealthProbe::Tcp { port })].boxed()
        }
    };
    let counts = (1..=u32::MAX, 1..=u32::MAX);
    (probe, millis(1), millis(1), millis(1), counts).prop_map(
        |(probe, interval, timeout, start_within, (good, bad))| HealthCheck {
            probe,
            interval,
            timeout,
            healthy_after: NonZeroU32::new(good).unwrap(),
            unhealthy_after: NonZeroU32::new(bad).unwrap(),
            start_within,
        },
    )
}

fn run(services: Vec<ServiceName>, data: Vec<DataName>) -> impl Strategy<Value = (RunSpec, Option<HealthCheck>)> {
    let command = (label(), vec(words(), 0..3))
        .prop_map(|(program, arguments)| std::iter::once(program).chain(arguments).collect::<Vec<_>>());
    let started = (option::of("[a-z0-9/:.]{1,12}"), command);
    (started, env(services, data), ports()).prop_flat_map(|((image, command), env, ports)| {
        let health = option::of(health(&ports));
        let run = RunSpec {
            image,
            command,
            env,
            ports,
        };
        (Just(run), health)
    })
}

const OVER: [SpreadOver; 4] = [
    SpreadOver::Machine,
    SpreadOver::Zone,
    SpreadOver::Region,
    SpreadOver::Cloud,
];

/// Needs and rules of a service between its names; the rest is filled in by [`service`].
fn service(index: usize, services: Vec<ServiceName>, data: Vec<DataName>) -> impl Strategy<Value = ServiceSpec> {
    let own = services[index].clone();
    let others: Vec<ServiceName> = services.iter().filter(|name| **name != own).cloned().collect();
    let count = others.len();
    let condition = select(vec![Condition::Started, Condition::Healthy, Condition::Completed]);
    let dependencies = (subsequence(others, 0..=count), vec(condition, count));
    let mut ends: Vec<Link> = services.iter().cloned().map(Link::Service).collect();
    ends.extend(data.iter().cloned().map(Link::Data));
    let latency = vec((select(ends.clone()), millis(1)), 0..3);
    ends.push(Link::Internet);
    let egress = vec((select(ends), any::<u64>()), 0..3);
    let spread = (subsequence(OVER.to_vec(), 0..=4), 1..=u32::MAX);
    let affinity = vec((select(services.clone()), select(OVER.to_vec())), 0..3);
    let apart = subsequence(services.clone(), 0..=services.len());
    let uses = subsequence(data.clone(), 0..=data.len());
    let places = (
        btree_set(label(), 0..3),
        btree_set(region(), 0..3),
        option::of(given_residency()),
    );
    let marks = (
        btree_map(words(), words(), 0..3),
        vec((words(), option::of(words())), 0..3),
    );
    let purchase = select(vec![
        PurchasePreference::OnDemand,
        PurchasePreference::Spot,
        PurchasePreference::Any,
    ]);
    let numbers = (1..=10_000_u32, purchase, option::of(money()), millis(0));
    let rules = (dependencies, latency, egress, spread, affinity, apart, uses);
    let what = (resources(), run(services, data), rollout(), drift());
    (rules, places, marks, numbers, what).prop_map(move |(rules, places, marks, numbers, what)| {
        let ((first, conditions), latency, egress, (over, skew), affinity, anti_affinity, data) = rules;
        let (clouds, regions, residency) = places;
        let (labels, tolerations) = marks;
        let (replicas, purchase, revenue, grace) = numbers;
        let (resources, (run, health), rollout, drift) = what;
        let dependency = |(service, condition)| Dependency {
            service,
            condition,
            at: None,
        };
        let max_skew = NonZeroU32::new(skew).unwrap();
        let per_hour = |micros| Revenue {
            per_hour: MicroUsdPerHour::from_micros(micros),
        };
        ServiceSpec {
            name: own.clone(),
            at: None,
            replicas: NonZeroU32::new(replicas).unwrap(),
            resources,
            purchase,
            depends_on: first.into_iter().zip(conditions).map(dependency).collect(),
            synced: Vec::new(),
            data,
            latency: latency
                .into_iter()
                .map(|(to, max)| LatencyLimit { to, max, at: None })
                .collect(),
            egress: egress
                .into_iter()
                .map(|(to, n)| EgressNeed {
                    to,
                    per_month: Bytes::from_bytes(n),
                })
                .collect(),
            spread: over.into_iter().map(|over| SpreadRule { over, max_skew }).collect(),
            affinity: affinity
                .into_iter()
                .map(|(service, within)| Affinity { service, within })
                .collect(),
            anti_affinity,
            labels,
            tolerations: tolerations
                .into_iter()
                .map(|(key, value)| Toleration { key, value })
                .collect(),
            clouds: clouds.into_iter().map(|cloud| cloud.parse().unwrap()).collect(),
            regions,
            residency,
            revenue: revenue.map(per_hour),
            run,
            health,
            stop: StopSpec { grace },
            rollout,
            drift,
        }
    })
}

fn drift() -> impl Strategy<Value = BTreeMap<DriftField, DriftPolicy>> {
    let fields: Vec<DriftField> = DriftField::ALL.into_iter().filter(|field| field.has_policy()).collect();
    let policies = select(vec![DriftPolicy::Correct, DriftPolicy::Report, DriftPolicy::Ignore]);
    btree_map(select(fields), policies, 0..4)
}

fn analysis() -> impl Strategy<Value = Analysis> {
    let limit = (any::<bool>(), 0..=i64::MAX).prop_map(|(below, millionths)| {
        let number = Millionths::from_millionths(millionths);
        if below {
            Limit::Below(number)
        } else {
            Limit::Above(number)
        }
    });
    (
        words().prop_filter("a name", |name| !name.is_empty() && !name.contains(char::is_control)),
        limit,
        millis(1),
        millis(0),
        any::<u32>(),
    )
        .prop_map(|(metric, limit, interval, more, failures)| Analysis {
            metric,
            limit,
            over: interval + more,
            interval,
            failures,
        })
}

fn rollout() -> impl Strategy<Value = Rollout> {
    let strategy = select(vec![
        RolloutStrategy::Rolling,
        RolloutStrategy::Canary,
        RolloutStrategy::BlueGreen,
    ]);
    // Parts in ascending order are in order for every number of replicas.
    let steps = vec((1..=100_u8, millis(0)), 0..4).prop_map(|mut steps| {
        steps.sort_unstable();
        let step = |(percent, pause)| CanaryStep {
            replicas: Share::Percent(percent),
            pause,
        };
        steps.into_iter().map(step).collect::<Vec<_>>()
    });
    let times = (millis(0), option::of(millis(1)), millis(0));
    (
        strategy,
        0..=u32::MAX,
        1..=u32::MAX,
        steps,
        vec(analysis(), 0..3),
        times,
    )
        .prop_map(
            |(strategy, max_unavailable, max_surge, steps, analysis, (ready_for, within, keep))| Rollout {
                strategy,
                max_unavailable,
                max_surge,
                steps: if strategy == RolloutStrategy::Canary {
                    steps
                } else {
                    Vec::new()
                },
                analysis: if strategy == RolloutStrategy::Rolling {
                    Vec::new()
                } else {
                    analysis
                },
                ready_for,
                within,
                keep: if strategy == RolloutStrategy::BlueGreen {
                    keep
                } else {
                    Duration::ZERO
                },
            },
        )
}

fn data_set(name: DataName) -> impl Strategy<Value = DataSpec> {
    let class = select(vec![
        DataClass::Public,
        DataClass::Internal,
        DataClass::Confidential,
        DataClass::Regulated,
    ]);
    let mode = select(vec![SyncMode::Mirror, SyncMode::TwoWay]);
    let sync = option::of((mode, option::of(millis(1))));
    let backup = option::of((millis(1), millis(0)));
    (class, btree_set(region(), 1..4), sync, backup).prop_map(move |(class, replicas, sync, backup)| DataSpec {
        name: name.clone(),
        at: None,
        class,
        replicas: replicas
            .into_iter()
            .map(|region| DataReplica { region, at: None })
            .collect(),
        sync: sync.map(|(mode, lag_max)| SyncSpec { mode, lag_max }),
        backup: backup.map(|(every, more)| BackupSpec {
            every,
            keep: every + more,
        }),
    })
}

fn manifest() -> impl Strategy<Value = Manifest> {
    let names = (btree_set(label(), 1..4), btree_set(label(), 0..3));
    let rules = (label(), residency(), option::of(money()), option::of(money()));
    (names, rules).prop_flat_map(|((services, data), rules)| {
        let services: Vec<ServiceName> = services.iter().map(|name| name.parse().unwrap()).collect();
        let data: Vec<DataName> = data.iter().map(|name| name.parse().unwrap()).collect();
        let specs: Vec<_> = (0..services.len())
            .map(|i| service(i, services.clone(), data.clone()))
            .collect();
        let sets: Vec<_> = data.into_iter().map(data_set).collect();
        (specs, sets, Just(rules)).prop_map(|(services, data, (name, residency, budget, revenue))| Manifest {
            name: name.parse().unwrap(),
            source: String::new(),
            residency,
            budget: budget.map(|micros| Budget {
                per_month: MicroUsd::from_micros(micros),
                at: None,
            }),
            revenue: revenue.map(|micros| Revenue {
                per_hour: MicroUsdPerHour::from_micros(micros),
            }),
            services,
            data,
            moved: Vec::new(),
            imports: Vec::new(),
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn what_is_printed_is_read_back_in_both_formats(manifest in manifest()) {
        let toml = Manifest::parse(&print::toml(&manifest), "x.toml");
        prop_assert_eq!(toml.map(Manifest::without_locations), Ok(manifest.clone()));
        let yaml = Manifest::parse(&print::yaml(&manifest), "x.yaml");
        prop_assert_eq!(yaml.map(Manifest::without_locations), Ok(manifest));
    }

    #[test]
    fn reading_twice_gives_the_same(damages in vec(damage(), 0..3)) {
        let bytes = damaged(CLINIC_YAML, &damages);
        prop_assert_eq!(Manifest::parse_bytes(&bytes, "x.yaml"), Manifest::parse_bytes(&bytes, "x.yaml"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_text_panics_and_errors_are_inside_of_it(text in any::<String>()) {
        check_both(&text)?;
    }

    #[test]
    fn no_text_of_punctuation_panics(text in r"([\[\]{}:,\-.=#&*!|>?%@'\x22\\ \n\r\ta-c0-2€]|: |- |\n  |\[\[|\x22\x22\x22){0,60}") {
        check_both(&text)?;
    }

    #[test]
    fn no_bytes_panic(bytes in vec(any::<u8>(), 0..200)) {
        for source in ["x.toml", "x.yaml"] {
            if let Err(error) = Manifest::parse_bytes(&bytes, source) {
                check_place(&String::from_utf8_lossy(&bytes), &error)?;
            }
        }
    }

    #[test]
    fn no_damaged_manifest_panics_and_errors_are_inside_of_it(
        is_yaml in any::<bool>(),
        damages in vec(damage(), 1..4),
    ) {
        let (text, source) = if is_yaml { (CLINIC_YAML, "x.yaml") } else { (CLINIC_TOML, "x.toml") };
        let bytes = damaged(text, &damages);
        if let Err(error) = Manifest::parse_bytes(&bytes, source) {
            check_place(&String::from_utf8_lossy(&bytes), &error)?;
        }
    }
}

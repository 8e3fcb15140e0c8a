//! What good manifests mean.

use std::collections::BTreeSet;
use std::time::Duration;

use skyloom_core::{
    Bytes, Condition, DataClass, EnvValue, HealthProbe, Jurisdiction, Link, Location, Manifest, MicroUsd,
    MicroUsdPerHour, Millicores, Milligpus, Protocol, PurchasePreference, RolloutStrategy, SecretRef, ServiceSpec,
    SpreadOver, SyncMode,
};

use super::{CLINIC_TOML, CLINIC_YAML};

fn clinic() -> Manifest {
    Manifest::parse(CLINIC_TOML, "clinic.toml").unwrap()
}

fn service(manifest: &Manifest, name: &str) -> ServiceSpec {
    manifest.service(&name.parse().unwrap()).unwrap().clone()
}

/// A manifest of one service with `line` among its keys.
fn with_service_line(line: &str) -> String {
    format!(
        "version = 1\nname = \"x\"\n[[service]]\nname = \"a\"\nresources = {{ cpu = 1, memory = 1 }}\n{line}\nrun.image = \"i\"\n"
    )
}

#[test]
fn the_same_document_in_yaml_means_the_same() {
    let (toml, yaml) = (clinic(), Manifest::parse(CLINIC_YAML, "clinic.yaml").unwrap());
    assert_eq!(
        (toml.source.as_str(), yaml.source.as_str()),
        ("clinic.toml", "clinic.yaml")
    );
    assert_eq!(toml.without_locations(), yaml.without_locations());
}

#[test]
fn rules_over_all_are_read_exactly() {
    let manifest = clinic();
    let codes = |codes: &[&str]| {
        codes
            .iter()
            .map(|c| c.parse().unwrap())
            .collect::<BTreeSet<Jurisdiction>>()
    };
    assert_eq!(manifest.residency.allow, codes(&["EU", "CH"]));
    assert_eq!(manifest.residency.deny, codes(&["US"]));
    assert_eq!(manifest.budget.unwrap().per_month, MicroUsd::from_micros(2_499_999_999));
    assert_eq!(
        manifest.revenue.unwrap().per_hour,
        MicroUsdPerHour::from_micros(31_250_000)
    );
    assert_eq!(manifest.replica_count(), 7);
}

#[test]
fn needs_and_places_are_read_exactly() {
    let manifest = clinic();
    let records = service(&manifest, "records");
    assert_eq!(records.resources.cpu, Millicores::from_cores(2));
    assert_eq!(records.resources.memory, Bytes::from_gib(8));
    assert_eq!(records.resources.disk, Bytes::from_bytes(100_000_000_000));
    assert_eq!(records.purchase, PurchasePreference::OnDemand);
    assert_eq!(
        records.clouds.iter().map(|c| c.as_str()).collect::<Vec<_>>(),
        ["aws", "hetzner"]
    );
    assert!(records.residency.is_some());
    assert_eq!(records.labels["disk.kind"], "ssd");
    let tolerations: Vec<_> = records
        .tolerations
        .iter()
        .map(|t| (t.key.as_str(), t.value.as_deref()))
        .collect();
    assert_eq!(tolerations, [("dedicated", Some("records")), ("maintenance", None)]);
    let imaging = service(&manifest, "imaging");
    assert_eq!(imaging.resources.gpu, Milligpus::from_milligpus(500));
    assert_eq!(imaging.resources.cpu, Millicores::from_millicores(1500));
    let regions: Vec<String> = imaging.regions.iter().map(ToString::to_string).collect();
    assert_eq!(regions, ["aws/eu-central-1", "gcp/europe-west3"]);
    let affinity: Vec<_> = imaging
        .affinity
        .iter()
        .map(|a| (a.service.as_str(), a.within))
        .collect();
    assert_eq!(
        affinity,
        [("records", SpreadOver::Region), ("imaging", SpreadOver::Machine)]
    );
}

#[test]
fn links_and_dependencies_are_read_exactly() {
    let portal = service(&clinic(), "portal");
    let dependencies: Vec<_> = portal
        .depends_on
        .iter()
        .map(|d| (d.service.as_str(), d.condition))
        .collect();
    assert_eq!(
        dependencies,
        [("records", Condition::Healthy), ("imaging", Condition::Started)]
    );
    assert_eq!(portal.latency[0].max, Duration::from_millis(20));
    assert_eq!(portal.latency[1].to, Link::Data("patients".parse().unwrap()));
    assert_eq!(portal.egress[0].to, Link::Internet);
    assert_eq!(portal.egress[0].per_month, Bytes::from_bytes(1_500_000_000_000));
    assert_eq!(portal.egress[1].to, Link::Service("records".parse().unwrap()));
    let spread: Vec<_> = portal.spread.iter().map(|s| (s.over, s.max_skew.get())).collect();
    assert_eq!(spread, [(SpreadOver::Zone, 1), (SpreadOver::Cloud, 2)]);
    assert_eq!(
        portal.revenue.unwrap().per_hour,
        MicroUsdPerHour::from_micros(20_000_000)
    );
}

#[test]
fn what_is_run_is_read_exactly() {
    let manifest = clinic();
    let records = service(&manifest, "records");
    assert_eq!(records.run.command, ["clinic", "--serve", "records"]);
    assert_eq!(records.run.env["THREADS"], EnvValue::Text("8".to_owned()));
    assert_eq!(records.run.env["LIMITS"], EnvValue::Text("{{\"max\": 1}}".to_owned()));
    let key = SecretRef {
        backend: "vault".to_owned(),
        name: "clinic/key".to_owned(),
        version: Some("3".to_owned()),
    };
    assert_eq!(records.run.env["KEY"], EnvValue::Secret(key));
    let ports: Vec<_> = records
        .run
        .ports
        .iter()
        .map(|p| (p.name.as_str(), p.protocol, p.port.map(|n| n.get())))
        .collect();
    assert_eq!(
        ports,
        [("http", Protocol::Tcp, Some(8080)), ("sync", Protocol::Udp, None)]
    );
    let health = records.health.unwrap();
    assert!(matches!(health.probe, HealthProbe::Http { ref path, .. } if path == "/healthz?deep=1"));
    assert_eq!(
        (health.interval, health.timeout),
        (Duration::from_millis(500), Duration::from_millis(1500))
    );
    assert_eq!((health.healthy_after.get(), health.unhealthy_after.get()), (2, 4));
    assert_eq!(health.start_within, Duration::from_secs(120));
    assert_eq!(records.stop.grace, Duration::from_secs(30));
    assert_eq!(records.rollout.strategy, RolloutStrategy::BlueGreen);
    assert_eq!((records.rollout.max_unavailable, records.rollout.max_surge), (0, 1));
}

#[test]
fn data_sets_are_read_exactly() {
    let manifest = clinic();
    let patients = &manifest.data[0];
    assert_eq!(patients.class, DataClass::Regulated);
    let regions: Vec<String> = patients.replicas.iter().map(|r| r.region.to_string()).collect();
    assert_eq!(regions, ["aws/eu-central-1", "gcp/europe-west3"]);
    let (sync, backup) = (patients.sync.unwrap(), patients.backup.unwrap());
    assert_eq!(
        (sync.mode, sync.lag_max),
        (SyncMode::TwoWay, Some(Duration::from_secs(300)))
    );
    assert_eq!(
        (backup.every, backup.keep),
        (Duration::from_secs(3600), Duration::from_secs(604_800))
    );
    let sync = manifest.data[1].sync.unwrap();
    assert_eq!((sync.mode, sync.lag_max), (SyncMode::Mirror, None));
}

#[test]
fn what_is_absent_has_its_documented_default() {
    let text = with_service_line("health.tcp.port = \"p\"\nrun.ports = [{ name = \"p\" }]");
    let manifest = Manifest::parse(&text, "x.toml").unwrap();
    assert!(manifest.residency.allow.is_empty() && manifest.residency.deny.is_empty());
    assert_eq!((manifest.budget, manifest.revenue), (None, None));
    let a = service(&manifest, "a");
    assert_eq!((a.replicas.get(), a.purchase), (1, PurchasePreference::Any));
    assert_eq!((a.resources.disk, a.resources.gpu), (Bytes::ZERO, Milligpus::ZERO));
    assert_eq!((a.run.ports[0].protocol, a.run.ports[0].port), (Protocol::Tcp, None));
    let health = a.health.unwrap();
    assert_eq!(
        (health.interval, health.timeout),
        (Duration::from_secs(1), Duration::from_secs(1))
    );
    assert_eq!((health.healthy_after.get(), health.unhealthy_after.get()), (1, 3));
    assert_eq!(health.start_within, Duration::from_secs(60));
    assert_eq!(a.stop.grace, Duration::from_secs(10));
    let rollout = a.rollout;
    assert_eq!(
        (rollout.strategy, rollout.max_unavailable, rollout.max_surge),
        (RolloutStrategy::Rolling, 1, 1)
    );
}

#[test]
fn quantities_may_be_numbers_or_text_in_both_formats() {
    let money = |toml: &str, yaml: &str| {
        let toml = format!("{}\n[budget]\nusd_per_month = {toml}\n", with_service_line(""));
        let yaml = format!(
            "version: 1\nname: x\nbudget: {{ usd_per_month: {yaml} }}\nservice: [{{ name: a, resources: {{ cpu: 1, memory: \
             1 }}, run: {{ image: i }} }}]\n"
        );
        let read = |text: &str, source: &str| {
            Manifest::parse(text, source)
                .unwrap()
                .budget
                .unwrap()
                .per_month
                .as_micros()
        };
        (read(&toml, "x.toml"), read(&yaml, "x.yml"))
    };
    let rows = [
        ("1200", "1200", 1_200_000_000),
        ("\"1200\"", "\"1200\"", 1_200_000_000),
        ("0.1", "0.1", 100_000),
        // A float would make 9007199254.740993 of it.
        ("9007199254.740992", "9007199254.740992", 9_007_199_254_740_992),
        ("1.2e3", "1.2e3", 1_200_000_000),
        ("1_200", "1200", 1_200_000_000),
        ("0x10", "0x10", 16_000_000),
    ];
    for (toml, yaml, micros) in rows {
        assert_eq!(money(toml, yaml), (micros, micros), "{toml}");
    }
}

#[test]
fn dependencies_remember_the_place_of_the_name() {
    let place_of = |text: &str, source: &str, name: &str| {
        let manifest = Manifest::parse(text, source).unwrap();
        let of_portal = service(&manifest, "portal").depends_on;
        of_portal
            .iter()
            .find(|d| d.service.as_str() == name)
            .unwrap()
            .at
            .unwrap()
    };
    let word_at = |text: &str, at: Location| {
        let line = text.lines().nth(usize::try_from(at.line).unwrap() - 1).unwrap();
        line[usize::try_from(at.column).unwrap() - 1..].to_owned()
    };
    for (text, source) in [(CLINIC_TOML, "clinic.toml"), (CLINIC_YAML, "clinic.yaml")] {
        for (name, condition) in [("records", "healthy"), ("imaging", "started")] {
            let rest = word_at(text, place_of(text, source, name));
            assert!(rest.starts_with(name) && rest.contains(condition), "{source}: {rest}");
        }
    }
}

#[test]
fn columns_count_characters_also_behind_wide_ones() {
    let text = "# ümläut: €\r\nversion: 1\r\nname: x\r\nservice:\r\n- {name: a, labels: {ä: ö}, depends_on: [b], resources: \
                {cpu: 1, memory: 1}, run: {image: i}}\r\n- {name: b, resources: {cpu: 1, memory: 1}, run: {image: i}}\r\n";
    let manifest = Manifest::parse(text, "x.yaml").unwrap();
    let at = service(&manifest, "a").depends_on[0].at.unwrap();
    let line = text.lines().nth(4).unwrap();
    let column = line[..line.find("[b]").unwrap()].chars().count() + 2;
    assert_eq!((at.line, usize::try_from(at.column).unwrap()), (5, column));
}

#[test]
fn yaml_anchors_stand_for_their_values() {
    let text = "version: 1\nname: x\nservice:\n- {name: a, resources: &small {cpu: 1, memory: 1GiB}, run: &run {image: i}}\n- \
                {name: b, resources: *small, run: *run}\n";
    let manifest = Manifest::parse(text, "x.yaml").unwrap();
    assert_eq!(service(&manifest, "a").resources, service(&manifest, "b").resources);
}

#[test]
fn a_dependency_cycle_is_left_to_the_graph() {
    let text = "version: 1\nname: x\nservice:\n- {name: a, depends_on: [b], resources: {cpu: 1, memory: 1}, run: {image: i}}\n\
                - {name: b, depends_on: [a], resources: {cpu: 1, memory: 1}, run: {image: i}}\n";
    assert_eq!(Manifest::parse(text, "x.yaml").unwrap().services.len(), 2);
}

#[test]
fn a_byte_order_mark_is_not_text() {
    let text = format!("\u{feff}{}", with_service_line(""));
    assert!(Manifest::parse(&text, "x.toml").is_ok());
    assert!(Manifest::parse_bytes(format!("\u{feff}{CLINIC_YAML}").as_bytes(), "x.YAML").is_ok());
}

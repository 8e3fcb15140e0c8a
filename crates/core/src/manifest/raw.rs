//! The document types of a manifest: its keys, exactly as they are written.
//!
//! They are read by `de`, checked by `check`, and published as the JSON Schema, so that the three cannot disagree.
//! Defaults, ranges and references between keys are `check`'s. Doc comments here are the descriptions of the schema.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::de::{OneOrMany, Spanned};
use super::scalars::{
    BytesText, CountText, CpuText, DependsOn, DurationText, GpuText, MoneyText, NumberText, PortText, PositiveText,
    ShareText, Table, TextOr, VersionText,
};
use crate::{DataClass, DriftPolicy, Protocol, PurchasePreference, RolloutStrategy, SpreadOver, SyncMode};

/// Declares document types: keys that are not listed are refused.
macro_rules! document {
    ($($(#[$doc:meta])* $name:ident as $title:literal { $($body:tt)* })*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, Deserialize)]
            #[serde(deny_unknown_fields)]
            #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
            #[cfg_attr(feature = "schema", schemars(rename = $title))]
            pub(crate) struct $name { $($body)* }
        )*
    };
}

document! {
    /// A skyloom manifest: services, data sets, and the rules over all of them.
    RawManifest as "Manifest" {
        /// Version of this form; 1.
        pub(crate) version: Spanned<VersionText>,
        /// Name of the deployment; tells its resources from another's.
        pub(crate) name: Spanned<String>,
        /// Hard: no byte and no replica outside these jurisdictions.
        pub(crate) residency: Option<Spanned<RawResidency>>,
        /// Hard: the most that may be spent.
        pub(crate) budget: Option<Spanned<RawBudget>>,
        /// Expected revenue of the whole.
        pub(crate) revenue: Option<RawRevenue>,
        /// Services.
        #[serde(default)]
        pub(crate) service: Vec<RawService>,
        /// Data sets.
        #[serde(default)]
        pub(crate) data: Vec<RawData>,
        /// Replicas that have another name now.
        #[serde(default)]
        pub(crate) moved: Vec<RawMoved>,
        /// Things at a provider that are taken over.
        #[serde(default)]
        pub(crate) import: Vec<RawImport>,
    }

    /// Replicas that have another name now: what runs is kept under the new name where its specification allows.
    RawMoved as "Moved" {
        /// Old name: a service, one replica `web/3`, or some `web/2-4`.
        pub(crate) from: Spanned<String>,
        /// New name, of as many replicas.
        pub(crate) to: Spanned<String>,
    }

    /// A thing at a provider that becomes a replica of this deployment, with the machine that carries it.
    RawImport as "Import" {
        /// What it becomes, such as `web/0`.
        pub(crate) replica: Spanned<String>,
        /// What the provider calls it.
        pub(crate) resource: Spanned<String>,
        /// Which cloud has it; every driver is asked if absent.
        pub(crate) cloud: Option<Spanned<String>>,
        /// Whose it may be (an owner tag); if absent, only what carries no owner tag is taken.
        pub(crate) taken_from: Option<Spanned<String>>,
    }

    /// What comes before a service: exactly one of `service`, `data`.
    RawNeed as "Need" {
        /// A service.
        pub(crate) service: Option<Spanned<String>>,
        /// A data set.
        pub(crate) data: Option<Spanned<String>>,
        /// What it is to have reached; `healthy` for a service and `synced` for a data set if absent.
        pub(crate) condition: Option<RawCondition>,
        /// How long ago the copies of a data set may have been verified; if absent, it is done in the same plan.
        pub(crate) max_age: Option<Spanned<DurationText>>,
    }

    /// Which jurisdictions a byte or replica may be in: EU (the union, not the continent), US, UK, CH, or the country.
    RawResidency as "Residency" {
        /// A place must be under one of these.
        pub(crate) allow: Option<Spanned<Vec<Spanned<String>>>>,
        /// A place must be under none of these.
        pub(crate) deny: Option<Spanned<Vec<Spanned<String>>>>,
    }

    /// The most that may be spent.
    RawBudget as "Budget" {
        /// US dollars per month of 730 hours, machines and egress together.
        pub(crate) usd_per_month: Spanned<MoneyText>,
    }

    /// Expected revenue.
    RawRevenue as "Revenue" {
        /// US dollars per hour.
        pub(crate) usd_per_hour: Spanned<MoneyText>,
    }

    /// One service: what it needs, what it depends on, how it is run.
    RawService as "Service" {
        /// Name, unique in the manifest.
        pub(crate) name: Spanned<String>,
        /// How many replicas; 1 if absent.
        pub(crate) replicas: Option<Spanned<PositiveText>>,
        /// What each replica asks for.
        pub(crate) resources: RawResources,
        /// Which kinds of purchase may carry it; `any` if absent.
        #[serde(default)]
        pub(crate) purchase: PurchasePreference,
        /// Services that must have reached a condition first: a list (each healthy), or a table from name to condition.
        #[serde(default)]
        pub(crate) depends_on: DependsOn,
        /// Data sets that it uses.
        #[serde(default)]
        pub(crate) data: Vec<Spanned<String>>,
        /// Hard: upper limits of round-trip time.
        #[serde(default)]
        pub(crate) latency: OneOrMany<Spanned<RawLatency>>,
        /// Traffic that it sends, all replicas together; priced into the placement.
        #[serde(default)]
        pub(crate) egress: OneOrMany<Spanned<RawEgress>>,
        /// Hard: rules of even spreading.
        #[serde(default)]
        pub(crate) spread: OneOrMany<Spanned<RawSpread>>,
        /// Hard: services with a replica of which each replica must share a machine, zone, region or cloud.
        #[serde(default)]
        pub(crate) affinity: OneOrMany<Spanned<TextOr<RawAffinity>>>,
        /// Hard: services no replica of which may be on the same machine; its own name: no two of its own.
        #[serde(default)]
        pub(crate) anti_affinity: Vec<Spanned<String>>,
        /// Hard: labels that the machine must carry.
        #[serde(default)]
        pub(crate) labels: BTreeMap<String, String>,
        /// Taints of machines that it tolerates.
        #[serde(default)]
        pub(crate) tolerations: Vec<RawToleration>,
        /// Hard: clouds it may run on; any if absent.
        #[serde(default)]
        pub(crate) clouds: Vec<Spanned<String>>,
        /// Hard: regions it may run in; any if absent.
        #[serde(default)]
        pub(crate) regions: Vec<Spanned<TextOr<RawRegion>>>,
        /// Hard: its own residency, on top of the manifest's.
        pub(crate) residency: Option<Spanned<RawResidency>>,
        /// Its own expected revenue.
        pub(crate) revenue: Option<RawRevenue>,
        /// What to start.
        pub(crate) run: Spanned<RawRun>,
        /// How its health is known; if absent, a running process is healthy.
        pub(crate) health: Option<Spanned<RawHealth>>,
        /// How it is stopped.
        pub(crate) stop: Option<RawStop>,
        /// How a new generation replaces an old one.
        pub(crate) rollout: Option<Spanned<RawRollout>>,
        /// What follows from a change made from outside, per field.
        pub(crate) drift: Option<RawDrift>,
    }

    /// What each replica asks for.
    RawResources as "Resources" {
        /// Processor cores, such as 2, "0.5" or "500m".
        pub(crate) cpu: Spanned<CpuText>,
        /// Main memory, such as "4GiB" or "512MiB".
        pub(crate) memory: Spanned<BytesText>,
        /// Attached block storage, such as "20GiB"; none if absent.
        pub(crate) disk: Option<Spanned<BytesText>>,
        /// Accelerator devices, such as 1, "0.5" or "250m"; none if absent.
        pub(crate) gpu: Option<Spanned<GpuText>>,
    }

    /// Longest allowed round trip to the other end.
    RawLatency as "Latency" {
        /// A service or data set by name (`service.NAME`, `data.NAME` where both have it).
        pub(crate) to: Spanned<String>,
        /// Round-trip time.
        pub(crate) max: Spanned<DurationText>,
    }

    /// Traffic sent to the other end.
    RawEgress as "Egress" {
        /// A service or data set by name (`service.NAME`, `data.NAME` where both have it), or `internet`.
        pub(crate) to: Spanned<String>,
        /// Bytes per month, all replicas together.
        pub(crate) per_month: Spanned<BytesText>,
    }

    /// Replicas are spread evenly over domains.
    RawSpread as "Spread" {
        /// The domains.
        pub(crate) over: SpreadOver,
        /// Largest difference between two domains; 1 if absent.
        pub(crate) max_skew: Option<Spanned<PositiveText>>,
    }

    /// Each replica shares a domain with a replica of another service.
    RawAffinity as "Affinity" {
        /// The other service.
        pub(crate) service: Spanned<String>,
        /// Which domain they share; `machine` if absent.
        pub(crate) within: Option<SpreadOver>,
    }

    /// Lets replicas on machines with a matching taint.
    RawToleration as "Toleration" {
        /// Key of the taint.
        pub(crate) key: String,
        /// Value of the taint; any if absent.
        pub(crate) value: Option<String>,
    }

    /// A region of a cloud.
    RawRegion as "Region" {
        /// The cloud, such as `aws`.
        pub(crate) cloud: Spanned<String>,
        /// The region in that cloud's own words, such as `eu-central-1`.
        pub(crate) region: Spanned<String>,
    }

    /// What is started; `image`, `command` or both.
    RawRun as "Run" {
        /// Container image: what container and cloud drivers start.
        pub(crate) image: Option<Spanned<String>>,
        /// Program and arguments: what the local driver starts.
        pub(crate) command: Option<Spanned<Vec<Spanned<String>>>>,
        /// Environment. In texts, `{service.NAME.endpoints}` and `{data.NAME}` are replaced; braces are `{{` and `}}`.
        #[serde(default)]
        pub(crate) env: BTreeMap<String, Spanned<TextOr<SecretTable>>>,
        /// Ports that it listens on.
        #[serde(default)]
        pub(crate) ports: Vec<RawPort>,
    }

    /// A secret by reference.
    SecretTable as "Secret" {
        /// Where the value is kept: `backend:name`, or `backend:name#version`, such as `env:DB_PASSWORD`.
        pub(crate) secret: Spanned<String>,
    }

    /// A port of a service.
    RawPort as "Port" {
        /// Name, unique in the service.
        pub(crate) name: Spanned<String>,
        /// Transport; `tcp` if absent.
        #[serde(default)]
        pub(crate) protocol: Protocol,
        /// Number; chosen by the driver if absent.
        pub(crate) port: Option<Spanned<PortText>>,
    }

    /// How the health of a replica is known; exactly one of `http`, `tcp`, `exec`.
    RawHealth as "Health" {
        /// A GET request that answers 200 to 399.
        pub(crate) http: Option<RawHttp>,
        /// A connection that is accepted.
        pub(crate) tcp: Option<RawTcp>,
        /// A command that ends with 0: program and arguments.
        pub(crate) exec: Option<Spanned<Vec<Spanned<String>>>>,
        /// Time from the start of one probe to the next; 1s if absent.
        pub(crate) interval: Option<Spanned<DurationText>>,
        /// Longest wait for an answer; 1s if absent.
        pub(crate) timeout: Option<Spanned<DurationText>>,
        /// Good answers in a row that make it healthy; 1 if absent.
        pub(crate) healthy_after: Option<Spanned<PositiveText>>,
        /// Bad answers in a row that make it unhealthy; 3 if absent.
        pub(crate) unhealthy_after: Option<Spanned<PositiveText>>,
        /// Longest time from start to the first healthy state; 60s if absent.
        pub(crate) start_within: Option<Spanned<DurationText>>,
    }

    /// A health check by HTTP.
    RawHttp as "HealthHttp" {
        /// Port by name; a TCP port of the service.
        pub(crate) port: Spanned<String>,
        /// Path, beginning with `/`; `/` if absent.
        pub(crate) path: Option<Spanned<String>>,
    }

    /// A health check by connection.
    RawTcp as "HealthTcp" {
        /// Port by name; a TCP port of the service.
        pub(crate) port: Spanned<String>,
    }

    /// How a replica is stopped: SIGTERM, grace, SIGKILL.
    RawStop as "Stop" {
        /// Time between SIGTERM and SIGKILL.
        pub(crate) grace: Spanned<DurationText>,
    }

    /// How a new generation replaces an old one.
    RawRollout as "Rollout" {
        /// Kind; `rolling` if absent.
        #[serde(default)]
        pub(crate) strategy: RolloutStrategy,
        /// Replicas that may be missing during it; 1 if absent.
        pub(crate) max_unavailable: Option<Spanned<CountText>>,
        /// Replicas that may be too many during it; 1 if absent.
        pub(crate) max_surge: Option<Spanned<CountText>>,
        /// Stages of a canary; one replica first if absent.
        #[serde(default)]
        pub(crate) steps: Vec<Spanned<RawCanaryStep>>,
        /// What is judged in each pause of a canary, and before the switch of blue-green.
        #[serde(default)]
        pub(crate) analysis: OneOrMany<Spanned<RawAnalysis>>,
        /// A new replica counts as ready when it was healthy for this long; at once if absent.
        pub(crate) ready_for: Option<Spanned<DurationText>>,
        /// Longest time that a new replica may take to become healthy; what its health check allows if absent.
        pub(crate) within: Option<Spanned<DurationText>>,
        /// How long blue-green keeps the old replicas after the switch; not at all if absent.
        pub(crate) keep: Option<Spanned<DurationText>>,
    }

    /// One stage of a canary.
    RawCanaryStep as "CanaryStep" {
        /// How many replicas are new at its end: a number, or a part such as "10%", rounded up.
        pub(crate) replicas: Spanned<ShareText>,
        /// How long they are watched before the next stage; not at all if absent.
        pub(crate) pause: Option<Spanned<DurationText>>,
    }

    /// A condition on a metric; exactly one of `below`, `above`.
    RawAnalysis as "Analysis" {
        /// Name of the metric, as its source knows it; `unhealthy` and `memory` are built in.
        pub(crate) metric: Spanned<String>,
        /// A measurement has to be less than this.
        pub(crate) below: Option<Spanned<NumberText>>,
        /// A measurement has to be more than this.
        pub(crate) above: Option<Spanned<NumberText>>,
        /// For how long it is measured.
        #[serde(rename = "for")]
        pub(crate) over: Spanned<DurationText>,
        /// From one measurement to the next; 10s if absent, or `for` if that is shorter.
        pub(crate) interval: Option<Spanned<DurationText>>,
        /// Bad measurements that are put up with; 0 if absent.
        pub(crate) failures: Option<Spanned<CountText>>,
    }

    /// What follows from a change made from outside; `correct` for what is absent.
    RawDrift as "Drift" {
        /// A replica is not there any more.
        pub(crate) missing: Option<DriftPolicy>,
        /// It is stopped, has ended or was evicted.
        pub(crate) state: Option<DriftPolicy>,
        /// Its image.
        pub(crate) image: Option<DriftPolicy>,
        /// Its program and arguments.
        pub(crate) command: Option<DriftPolicy>,
        /// Its environment.
        pub(crate) env: Option<DriftPolicy>,
        /// Its tags or labels at the provider.
        pub(crate) tags: Option<DriftPolicy>,
        /// What it is given.
        pub(crate) size: Option<DriftPolicy>,
    }

    /// A data set and where its copies are.
    RawData as "Data" {
        /// Name, unique among the data sets.
        pub(crate) name: Spanned<String>,
        /// How sensitive it is; `internal` if absent.
        #[serde(default)]
        pub(crate) class: DataClass,
        /// Where copies are; the first is the primary.
        pub(crate) replicas: Spanned<Vec<Spanned<TextOr<RawRegion>>>>,
        /// How copies are kept equal.
        pub(crate) sync: Option<RawSync>,
        /// How it is backed up.
        pub(crate) backup: Option<RawBackup>,
    }

    /// How copies are kept equal.
    RawSync as "Sync" {
        /// Direction; `mirror` if absent.
        #[serde(default)]
        pub(crate) mode: SyncMode,
        /// Longest time a copy may be behind.
        pub(crate) lag_max: Option<Spanned<DurationText>>,
    }

    /// How a data set is backed up.
    RawBackup as "Backup" {
        /// Time from one backup to the next.
        pub(crate) every: Spanned<DurationText>,
        /// How long a backup is kept; at least `every`.
        pub(crate) keep: Spanned<DurationText>,
    }
}

/// What a service or data set is to have reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "NeedCondition"))]
pub(crate) enum RawCondition {
    /// All replicas of the service have been started.
    Started,
    /// All replicas of the service are healthy.
    Healthy,
    /// All replicas of the service have ended with success.
    Completed,
    /// The copies of the data set were verified equal.
    Synced,
}

impl Table for RawNeed {
    const TEXT_OR_TABLE: &'static str = "a service, or a table with the key `service` or `data`";
}

impl Table for RawAffinity {
    const TEXT_OR_TABLE: &'static str = "a service, or a table with the key `service`";
}

impl Table for RawRegion {
    const TEXT_OR_TABLE: &'static str = "`cloud/region`, or a table with the keys `cloud` and `region`";
}

impl Table for SecretTable {
    const TEXT_OR_TABLE: &'static str = "text, a number, or a table with the key `secret`";
    const NUMBER_IS_TEXT: bool = true;
}

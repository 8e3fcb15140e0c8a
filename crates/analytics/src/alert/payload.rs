//! The body of a webhook, as Alertmanager sends it (version 4), so that receivers written for it need no change.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use skyloom_core::Timestamp;

use super::{Alert, Labels};

/// The whole body.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Payload {
    /// Always `4`.
    pub version: Cow<'static, str>,
    /// The place of the route and the labels of the group: the same for every notification of a group.
    pub group_key: String,
    /// Always 0: nothing is left out.
    pub truncated_alerts: u64,
    /// Firing while any alert is.
    pub status: Status,
    /// The receiver.
    pub receiver: String,
    /// What the group was made by.
    pub group_labels: Labels,
    /// Labels that all alerts share.
    pub common_labels: Labels,
    /// Annotations that all alerts share.
    pub common_annotations: Labels,
    /// Empty: the embedder knows its own address.
    #[serde(rename = "externalURL")]
    pub external_url: String,
    /// By labels.
    pub alerts: Vec<PayloadAlert>,
}

/// One alert of the body.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct PayloadAlert {
    /// Its own status.
    pub status: Status,
    /// Its labels.
    pub labels: Labels,
    /// Its annotations.
    pub annotations: Labels,
    /// When it fired.
    #[serde(serialize_with = "shown", deserialize_with = "read")]
    pub starts_at: Timestamp,
    /// When it resolved; the year 1 while it fires.
    #[serde(serialize_with = "shown_end", deserialize_with = "read_end")]
    pub ends_at: Option<Timestamp>,
    /// Empty, as [`Payload::external_url`].
    #[serde(rename = "generatorURL")]
    pub generator_url: String,
    /// Of its labels, in hexadecimal.
    pub fingerprint: String,
}

/// Whether something is still wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It is.
    Firing,
    /// It was.
    Resolved,
}

impl Status {
    pub(super) const fn of(alert: &Alert) -> Self {
        match alert.ends_at {
            None => Self::Firing,
            Some(_) => Self::Resolved,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
fn shown<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(at)
}

#[expect(clippy::ref_option, reason = "the signature that serde asks for")]
fn shown_end<S: Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => serializer.collect_str(at),
        None => serializer.serialize_str(NO_END),
    }
}

fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
    let text = String::deserialize(from)?;
    text.parse().map_err(serde::de::Error::custom)
}

fn read_end<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Timestamp>, D::Error> {
    let text = String::deserialize(from)?;
    if text == NO_END {
        return Ok(None);
    }
    text.parse().map(Some).map_err(serde::de::Error::custom)
}

/// The time that Go has for none.
const NO_END: &str = "0001-01-01T00:00:00Z";

impl Payload {
    /// Takes over what an older body of the same group would have told and this one does not: alerts that resolved. For
    /// whoever could not send the older one in time; what fired in it and is not here has been silenced since.
    pub fn absorb(&mut self, older: Self) {
        let untold = older
            .alerts
            .into_iter()
            .filter(|alert| alert.status == Status::Resolved);
        let is_told = |alert: &PayloadAlert| self.alerts.iter().any(|own| own.fingerprint == alert.fingerprint);
        let untold: Vec<PayloadAlert> = untold.filter(|alert| !is_told(alert)).collect();
        self.alerts.extend(untold);
        self.common_labels = common(self.alerts.iter().map(|alert| &alert.labels));
        self.common_annotations = common(self.alerts.iter().map(|alert| &alert.annotations));
    }
}

pub(super) fn payload(receiver: &str, place: &[usize], group: &Labels, alerts: &[Alert]) -> Payload {
    let place: String = place.iter().map(|i| format!("/{i}")).collect();
    let shown = |alert: &Alert| PayloadAlert {
        status: Status::of(alert),
        labels: alert.labels.clone(),
        annotations: alert.annotations.clone(),
        starts_at: alert.starts_at,
        ends_at: alert.ends_at,
        generator_url: String::new(),
        fingerprint: format!("{:016x}", alert.labels.fingerprint()),
    };
    let alerts: Vec<PayloadAlert> = alerts.iter().map(shown).collect();
    let is_firing = alerts.iter().any(|alert| alert.status == Status::Firing);
    Payload {
        version: Cow::Borrowed("4"),
        group_key: format!("{{}}{place}:{group}"),
        truncated_alerts: 0,
        status: if is_firing { Status::Firing } else { Status::Resolved },
        receiver: receiver.to_owned(),
        group_labels: group.clone(),
        common_labels: common(alerts.iter().map(|alert| &alert.labels)),
        common_annotations: common(alerts.iter().map(|alert| &alert.annotations)),
        external_url: String::new(),
        alerts,
    }
}

fn common<'a>(mut all: impl Iterator<Item = &'a Labels>) -> Labels {
    let first = all.next().cloned().unwrap_or_default();
    all.fold(first, |common, labels| {
        common
            .iter()
            .filter(|(name, value)| labels.get(name) == *value)
            .collect()
    })
}

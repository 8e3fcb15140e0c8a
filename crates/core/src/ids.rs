//! Typed, checked names. A name is refused at the border, so that no later code meets an empty or wild one.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Longest name that is accepted: what a DNS name may have, and a file name anywhere.
const NAME_LEN_MAX: usize = 128;

/// A text is not a name of this kind.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("accept `{text}` as a {kind}: {expected}")]
pub struct IdError {
    /// What was given (cut to a printable length).
    pub text: String,
    /// Which kind of name was asked for.
    pub kind: &'static str,
    /// What such a name looks like.
    pub expected: &'static str,
}

fn is_label(text: &str) -> bool {
    let ok = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    text.len() <= 63 && text.bytes().all(ok) && text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric())
}

fn is_token(text: &str) -> bool {
    let ok = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'/' | b':' | b'+' | b'@' | b'#');
    !text.is_empty() && text.len() <= NAME_LEN_MAX && text.bytes().all(ok)
}

/// As a token, and `$`: published lists write the sizes of a flexible OCI shape after one.
fn is_instance_type(text: &str) -> bool {
    !text.is_empty() && text.split('$').all(|part| part.is_empty() || is_token(part)) && text.len() <= NAME_LEN_MAX
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $check:ident, $expected:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            #[doc = concat!("A checked ", $kind, ": ", $expected, ".")]
            ///
            /// # Errors
            /// [`IdError`] when the text has another form.
            pub fn new(text: impl Into<String>) -> Result<Self, IdError> {
                let text = text.into();
                if $check(&text) {
                    Ok(Self(text))
                } else {
                    let text = text.chars().take(80).collect();
                    Err(IdError { text, kind: $kind, expected: $expected })
                }
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

macro_rules! label {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        name!($(#[$doc])* $name, $kind, is_label, "1 to 63 of a-z, 0-9, - and _, not starting with - or _");
    };
}

macro_rules! token {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        name!($(#[$doc])* $name, $kind, is_token, "1 to 128 letters, digits or -_./:+@#");
    };
}

label!(/// A service of a manifest, such as `frontend`.
    ServiceName, "service name");
label!(/// A data set of a manifest, such as `orders`.
    DataName, "data set name");
label!(/// A named port of a service, such as `http`.
    PortName, "port name");
label!(/// A cloud of the catalogue, such as `aws`.
    CloudId, "cloud");
token!(/// A region in its cloud's own words, such as `eu-central-1`.
    RegionName, "region");
token!(/// A fault domain of a region in its cloud's own words, such as `eu-central-1a`.
    ZoneName, "zone");
name!(/// A machine type in its cloud's own words, such as `m5.large`.
    InstanceType, "instance type", is_instance_type, "1 to 128 letters, digits or -_./:+@#$");
token!(/// A machine of a placement, unique in its control plane.
    MachineId, "machine id");
token!(/// What a provider calls a thing that it made.
    ResourceId, "resource id");
token!(/// One operation of one plan, unique for ever.
    OperationId, "operation id");
token!(/// Idempotency token of one attempt-generation of a mutation: repeated calls with it have one effect.
    Token, "idempotency token");
token!(/// Marks everything that one control plane owns at a provider.
    OwnerTag, "owner tag");

/// One replica of a service: `frontend/0` is the first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ReplicaId {
    service: ServiceName,
    index: u32,
}

impl ReplicaId {
    /// Replica `index` (from 0) of `service`.
    #[must_use]
    pub const fn new(service: ServiceName, index: u32) -> Self {
        Self { service, index }
    }

    /// The service.
    #[must_use]
    pub const fn service(&self) -> &ServiceName {
        &self.service
    }

    /// The number of the replica, from 0.
    #[must_use]
    pub const fn index(&self) -> u32 {
        self.index
    }
}

impl fmt::Display for ReplicaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}/{}", self.service, self.index))
    }
}

impl FromStr for ReplicaId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let bad = || IdError {
            text: text.chars().take(80).collect(),
            kind: "replica id",
            expected: "a service name, a slash and a number",
        };
        let (service, index) = text.split_once('/').ok_or_else(bad)?;
        Ok(Self {
            service: ServiceName::new(service)?,
            index: index.parse().map_err(|_| bad())?,
        })
    }
}

impl TryFrom<String> for ReplicaId {
    type Error = IdError;
    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<ReplicaId> for String {
    fn from(id: ReplicaId) -> Self {
        id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wild_names_are_refused() {
        for bad in ["", "-a", "Ä", "a b", "A", &"a".repeat(64)] {
            assert!(ServiceName::new(bad).is_err(), "{bad}");
        }
        assert!(ServiceName::new("front-end_2").is_ok());
        assert!(RegionName::new("ap/../x y").is_err());
        assert!("shop".parse::<ReplicaId>().is_err());
        assert_eq!("shop/3".parse::<ReplicaId>().unwrap().to_string(), "shop/3");
    }
}

//! Why a catalogue, or a row of one, is refused. Each error names the place: file, line, column and text, or the key.

use thiserror::Error;

use crate::{
    Bytes, Class, CloudId, IdError, MicroUsd, MicroUsdPerHour, Millicores, Milligpus, QuantityError, RegionKey,
};

use super::{EgressScope, OfferKey, Purchase};

/// What is wrong with one value. It is shown after the place, so each text stands after a colon.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Problem {
    /// Not a decimal number.
    #[error("it is not a decimal number")]
    NotANumber,
    /// A number below zero.
    #[error("it is negative")]
    Negative,
    /// A number beyond what can be held.
    #[error("it is beyond the largest {unit}")]
    TooLarge {
        /// Which quantity.
        unit: &'static str,
    },
    /// Not a name of the kind that the column holds.
    #[error("it is not a {kind}: {expected}")]
    NotAName {
        /// Which kind of name.
        kind: &'static str,
        /// What such a name looks like.
        expected: &'static str,
    },
    /// Not one of the words that the column holds.
    #[error("expected {expected}")]
    NotAWord {
        /// The words, for people.
        expected: &'static str,
    },
    /// The row prices an accelerator alone: nothing can be placed on it.
    #[error("the row names no instance type")]
    NoInstance,
    /// The row names no region.
    #[error("the row names no region")]
    NoRegion,
    /// CPU or memory is empty or zero.
    #[error("the size of the machine is unknown")]
    SizeUnknown,
    /// The machine type always comes with devices, and the row does not name them: its price may leave them out.
    #[error("the row leaves out the devices that the machine always comes with")]
    WithoutDevices,
    /// An accelerator without a number, or a number without an accelerator.
    #[error("accelerator and accelerator count do not go together")]
    AcceleratorMismatch,
    /// Neither an on-demand nor a spot price.
    #[error("there is neither an on-demand nor a spot price")]
    NoPrice,
    /// A price of nothing.
    #[error("the {purchase} price is zero")]
    ZeroPrice {
        /// Which price.
        purchase: Purchase,
    },
    /// A price below zero.
    #[error("the {purchase} price is negative")]
    NegativePrice {
        /// Which price.
        purchase: Purchase,
    },
    /// A price that no machine of this size was ever seen at.
    #[error("the {purchase} price of `{price}` is outside `{least}` to `{most}`, the sane range for this size")]
    AbsurdPrice {
        /// Which price.
        purchase: Purchase,
        /// What was given.
        price: MicroUsdPerHour,
        /// Lowest price that is accepted for the machine's size.
        least: MicroUsdPerHour,
        /// Highest price that is accepted for the machine's size.
        most: MicroUsdPerHour,
    },
    /// More CPU than any machine has.
    #[error("`{vcpus}` vCPUs are outside 1m to `{most}`")]
    AbsurdCpu {
        /// What was given.
        vcpus: Millicores,
        /// Largest number that is accepted.
        most: Millicores,
    },
    /// More memory than any machine has.
    #[error("`{memory}` of memory are outside 1B to `{most}`")]
    AbsurdMemory {
        /// What was given.
        memory: Bytes,
        /// Largest amount that is accepted.
        most: Bytes,
    },
    /// More devices than any machine has.
    #[error("`{count}` devices are outside 1m to `{most}`")]
    AbsurdAccelerators {
        /// What was given.
        count: Milligpus,
        /// Largest number that is accepted.
        most: Milligpus,
    },
    /// The sustained CPU is above the nominal one.
    #[error("the sustained CPU of `{sustained}` is above the nominal `{nominal}`")]
    SustainedAboveNominal {
        /// Sustained CPU.
        sustained: Millicores,
        /// Nominal CPU.
        nominal: Millicores,
    },
    /// The same key twice.
    #[error("it is there more than once")]
    Duplicate,
    /// The same offer in two rows that agree.
    #[error("it repeats line {first}")]
    Repeated {
        /// Line of the first row.
        first: u64,
    },
    /// The same offer in two rows that disagree.
    #[error("it contradicts line {first}, which has the same cloud, region, zone and instance type")]
    Contradiction {
        /// Line of the first row.
        first: u64,
    },
    /// No region information for the offer's region.
    #[error("the catalogue has no region `{region}`")]
    UnknownRegion {
        /// Which region.
        region: RegionKey,
    },
    /// The offer's zone is not one of its region's.
    #[error("the region has no zone `{zone}`")]
    UnknownZone {
        /// Which zone.
        zone: crate::ZoneName,
    },
    /// A source number beyond the list.
    #[error("source {number} is not among the {known} sources of the catalogue")]
    UnknownSource {
        /// What was given.
        number: u16,
        /// How many sources there are.
        known: usize,
    },
    /// A point that is not on Earth.
    #[error("the location is outside -90..=90 degrees of latitude or -180..=180 of longitude")]
    NotOnEarth,
    /// No tiers at all, or an edge on the last tier, or none on an earlier one.
    #[error("the last tier, and only it, must be without an upper edge")]
    OpenTier,
    /// An edge that is not above the one before it (or above zero).
    #[error("the tier edge `{edge}` does not rise above `{previous}`")]
    TierNotRising {
        /// The edge.
        edge: Bytes,
        /// The edge before it; zero for the first.
        previous: Bytes,
    },
    /// A tier price outside the sane range.
    #[error("the tier price of `{per_gib}` per GiB is outside 0 to `{most}`")]
    AbsurdTier {
        /// What was given.
        per_gib: MicroUsd,
        /// Highest price that is accepted.
        most: MicroUsd,
    },
}

impl From<QuantityError> for Problem {
    fn from(error: QuantityError) -> Self {
        match error {
            QuantityError::Negative { .. } => Self::Negative,
            QuantityError::Overflow { unit, .. } => Self::TooLarge { unit },
            QuantityError::NotANumber { .. } | QuantityError::UnknownUnit { .. } | QuantityError::TooFine { .. } => {
                Self::NotANumber
            }
        }
    }
}

impl From<IdError> for Problem {
    fn from(error: IdError) -> Self {
        Self::NotAName {
            kind: error.kind,
            expected: error.expected,
        }
    }
}

/// Why a catalogue was refused. The `Display` text completes "failed to …".
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CatalogueError {
    /// A row (or the header) is not text.
    #[error("read `{file}`, line {line}: the bytes are not UTF-8")]
    NotUtf8 {
        /// The caller's name of the input.
        file: String,
        /// Line, from 1.
        line: u64,
    },
    /// A row has more or fewer fields than the header.
    #[error("read `{file}`, line {line}: {found} fields where the header has {expected}")]
    RowLength {
        /// The caller's name of the input.
        file: String,
        /// Line, from 1.
        line: u64,
        /// Fields of the header.
        expected: usize,
        /// Fields of the row.
        found: usize,
    },
    /// The header lacks a column.
    #[error("find the column `{column}` in the header of `{file}`")]
    MissingColumn {
        /// The caller's name of the input.
        file: String,
        /// Which column.
        column: &'static str,
    },
    /// The header has a column twice.
    #[error("read the header of `{file}`: the column `{column}` is there more than once")]
    RepeatedColumn {
        /// The caller's name of the input.
        file: String,
        /// Which column.
        column: &'static str,
    },
    /// More rows than a catalogue may have.
    #[error("read `{file}`: it has more than {rows_max} rows")]
    TooManyRows {
        /// The caller's name of the input.
        file: String,
        /// The limit.
        rows_max: u64,
    },
    /// A value of a row cannot be used.
    #[error("use `{text}` in column `{column}` of `{file}`, line {line}: {problem}")]
    Cell {
        /// The caller's name of the input.
        file: String,
        /// Line, from 1.
        line: u64,
        /// Which column.
        column: &'static str,
        /// What stands there, cut to a printable length.
        text: String,
        /// What is wrong with it.
        problem: Problem,
    },
    /// An offer cannot be used.
    #[error("use the offer `{key}`: {problem}")]
    Offer {
        /// Which offer.
        key: Box<OfferKey>,
        /// What is wrong with it.
        problem: Problem,
    },
    /// A region cannot be used.
    #[error("use the region `{key}`: {problem}")]
    Region {
        /// Which region.
        key: RegionKey,
        /// What is wrong with it.
        problem: Problem,
    },
    /// An egress rule cannot be used.
    #[error("use the {scope} egress tiers of `{from}`: {problem}")]
    Egress {
        /// Source cloud.
        from: CloudId,
        /// Destination.
        scope: EgressScope,
        /// What is wrong with it.
        problem: Problem,
    },
    /// More sources than can be numbered.
    #[error("number {count} price sources: at most {most} can be held")]
    TooManySources {
        /// How many there are.
        count: usize,
        /// The limit.
        most: usize,
    },
}

impl CatalogueError {
    /// What kind of failure it is: always [`Class::Invalid`], since no retry turns a bad table into a good one.
    #[must_use]
    pub const fn class(&self) -> Class {
        Class::Invalid
    }
}

/// Why a transfer has no price. The `Display` text completes "failed to …".
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EgressError {
    /// The catalogue has no internet tier above zero to fall back to. An unknown price is never zero.
    #[error("price bytes leaving `{from}`: the catalogue has no internet price to assume")]
    Unknown {
        /// Source region.
        from: RegionKey,
    },
}

impl EgressError {
    /// What kind of failure it is.
    #[must_use]
    pub const fn class(&self) -> Class {
        match self {
            Self::Unknown { .. } => Class::NotFound,
        }
    }
}

//! Single values: spelling to unit, with the error at the spelling.

use std::num::{NonZeroU16, NonZeroU32};
use std::str::FromStr;
use std::time::Duration;

use super::super::de::Spanned;
use super::super::duration::parse_duration;
use super::super::error::{Fault, ManifestErrorKind, shortened};
use super::super::scalars::{
    BytesText, CountText, CpuText, DurationText, GpuText, MoneyText, NumberText, PortText, PositiveText,
};
use crate::{Bytes, IdError, Millicores, Milligpus, Millionths, QuantityError};

/// Longest spelling of a quantity that is looked at; all of 64 bits in decimal have 20 digits.
const QUANTITY_CHARS_MAX: usize = 64;

/// The beginning of a text, for an error.
pub(super) fn text_of(text: &str) -> String {
    shortened(text)
}

/// A checked name.
pub(super) fn name<T: FromStr<Err = IdError>>(raw: &Spanned<String>) -> Result<T, Fault> {
    let parsed = raw.value.parse();
    parsed.map_err(|error| Fault::at(raw.span, ManifestErrorKind::BadName(error)))
}

/// A quantity from its spelling.
fn quantity<S, T>(
    raw: &Spanned<S>,
    spelling: &str,
    read: impl Fn(&str) -> Result<T, QuantityError>,
) -> Result<T, Fault> {
    let result = if spelling.len() > QUANTITY_CHARS_MAX {
        let text = text_of(spelling);
        Err(QuantityError::NotANumber { text })
    } else {
        read(spelling)
    };
    result.map_err(|error| Fault::at(raw.span, ManifestErrorKind::Quantity(error)))
}

/// An amount of money, per hour or per month as the type says.
pub(super) fn money<T: FromStr<Err = QuantityError>>(raw: &Spanned<MoneyText>) -> Result<T, Fault> {
    quantity(raw, &raw.value.0, str::parse)
}

/// A number that is not negative.
pub(super) fn number(raw: &Spanned<NumberText>) -> Result<Millionths, Fault> {
    quantity(raw, &raw.value.0, str::parse)
}

/// CPU of a replica; above 0, because a process that needs none could be packed without end.
pub(super) fn cpu(raw: &Spanned<CpuText>) -> Result<Millicores, Fault> {
    let cpu: Millicores = quantity(raw, &raw.value.0, str::parse)?;
    not_nothing(raw, &raw.value.0, cpu.is_zero())?;
    Ok(cpu)
}

/// Memory of a replica; above 0, as [`cpu`].
pub(super) fn memory(raw: &Spanned<BytesText>) -> Result<Bytes, Fault> {
    let memory = bytes(raw)?;
    not_nothing(raw, &raw.value.0, memory.is_zero())?;
    Ok(memory)
}

pub(super) fn bytes(raw: &Spanned<BytesText>) -> Result<Bytes, Fault> {
    quantity(raw, &raw.value.0, str::parse)
}

pub(super) fn gpu(raw: &Spanned<GpuText>) -> Result<Milligpus, Fault> {
    quantity(raw, &raw.value.0, str::parse)
}

/// A duration, which may be zero.
pub(super) fn duration(raw: &Spanned<DurationText>) -> Result<Duration, Fault> {
    quantity(raw, &raw.value.0, parse_duration)
}

/// A duration above zero.
pub(super) fn some_time(raw: &Spanned<DurationText>) -> Result<Duration, Fault> {
    let time = duration(raw)?;
    not_nothing(raw, &raw.value.0, time.is_zero())?;
    Ok(time)
}

fn not_nothing<S>(raw: &Spanned<S>, spelling: &str, is_nothing: bool) -> Result<(), Fault> {
    if is_nothing {
        return Err(Fault::bad_value(raw.span, spelling, "more than 0"));
    }
    Ok(())
}

/// A whole number that fits 32 bits.
pub(super) fn small_number(digits: &str) -> Result<u32, QuantityError> {
    let text = || digits.to_owned();
    if digits.starts_with('-') && !digits.trim_start_matches(['-', '0']).is_empty() {
        return Err(QuantityError::Negative { text: text() });
    }
    let magnitude = digits.trim_start_matches(['+', '-']);
    if magnitude.is_empty() || !magnitude.bytes().all(|b| b.is_ascii_digit()) {
        return Err(QuantityError::NotANumber { text: text() });
    }
    let unit = "whole number";
    magnitude
        .parse()
        .map_err(|_| QuantityError::Overflow { text: text(), unit })
}

pub(super) fn count(raw: &Spanned<CountText>) -> Result<u32, Fault> {
    quantity(raw, &raw.value.0, small_number)
}

/// A whole number from 1.
pub(super) fn positive(raw: &Spanned<PositiveText>) -> Result<NonZeroU32, Fault> {
    let number = quantity(raw, &raw.value.0, small_number)?;
    NonZeroU32::new(number).ok_or_else(|| Fault::bad_value(raw.span, number, "at least 1"))
}

pub(super) fn port_number(raw: &Spanned<PortText>) -> Result<NonZeroU16, Fault> {
    let number = quantity(raw, &raw.value.0, small_number)?;
    let port = u16::try_from(number).ok().and_then(NonZeroU16::new);
    port.ok_or_else(|| Fault::bad_value(raw.span, number, "a port number in 1..=65535"))
}

//! Price lists from files, narrowed to where and how may be bought. What is then bought does not belong here.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use clap::ValueEnum;
use skyloom::Catalogue;
use skyloom::core::catalogue::{CsvOptions, OnRow};
use skyloom::core::{CloudId, Date, RegionKey};

use crate::Failure;

/// Most bytes of one price list, unpacked.
const BYTES_MAX: u64 = 1 << 30;

/// Which kinds of purchase may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Purchases {
    /// Never interrupted by the cloud.
    OnDemand,
    /// Spare capacity that the cloud may take back.
    Spot,
    /// Whichever is better.
    Any,
}

/// The offers of all files (later ones win), with what the built-in catalogue knows of places and traffic.
pub(crate) fn read(
    files: &[impl AsRef<Path>],
    as_of: Option<Date>,
    regions: &[RegionKey],
    purchases: Purchases,
) -> Result<Catalogue, Failure> {
    let mut catalogue = Catalogue::builtin().retain(|_| false);
    for file in files {
        catalogue = catalogue.merge(one(file.as_ref(), as_of)?)?;
    }
    let mut parts = catalogue.into_parts();
    for region in regions {
        if !parts.offers.iter().any(|offer| offer.key.region == *region) {
            return Err(format!("find region `{region}`: no price list sells there").into());
        }
    }
    parts.offers.retain_mut(|offer| {
        match purchases {
            Purchases::OnDemand => offer.spot = None,
            Purchases::Spot => offer.on_demand = None,
            Purchases::Any => {}
        }
        let can_be_bought = offer.on_demand.is_some() || offer.spot.is_some();
        can_be_bought && (regions.is_empty() || regions.contains(&offer.key.region))
    });
    Ok(Catalogue::new(parts)?)
}

/// One file, unpacked if its name ends in `.gz`: the project's own columns, or those of SkyPilot's catalogue, whose cloud
/// is the folder's name or the beginning of the file's.
fn one(file: &Path, as_of: Option<Date>) -> Result<Catalogue, Failure> {
    let shown = file.display().to_string();
    let bytes = unpacked(file).map_err(|cause| format!("read {shown}: {cause}"))?;
    let name = file
        .file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let as_of = match as_of.or_else(|| date_in(&name)) {
        Some(date) => date,
        None => return Err(format!("read {shown}: its name has no date; give --as-of").into()),
    };
    let options = CsvOptions::new(&shown, &name, as_of)
        .with_unusable(OnRow::Skip)
        .with_absurd(OnRow::Skip);
    let header = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let of_skypilot = String::from_utf8_lossy(header).contains("InstanceType");
    let read = if of_skypilot {
        Catalogue::read_skypilot_csv(&bytes, &cloud_of(file, &name)?, &options)?
    } else {
        Catalogue::read_csv(&bytes, &options)?
    };
    if !read.skipped.is_empty() {
        eprintln!("{shown}: {} rows cannot be used", read.skipped.len());
    }
    Ok(read.catalogue)
}

fn unpacked(file: &Path) -> std::io::Result<Vec<u8>> {
    let raw = File::open(file)?;
    let mut bytes = Vec::new();
    if file.extension().is_some_and(|extension| extension == "gz") {
        flate2::read::MultiGzDecoder::new(raw)
            .take(BYTES_MAX)
            .read_to_end(&mut bytes)?;
    } else {
        raw.take(BYTES_MAX).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

/// The first `YYYY-MM` or `YYYY-MM-DD` in a file's name; a month is its first day.
fn date_in(name: &str) -> Option<Date> {
    let candidates = name.char_indices().filter(|(_, c)| c.is_ascii_digit());
    candidates.into_iter().find_map(|(at, _)| {
        let day = name.get(at..at + 10).and_then(|text| text.parse().ok());
        day.or_else(|| format!("{}-01", name.get(at..at + 7)?).parse().ok())
    })
}

fn cloud_of(file: &Path, name: &str) -> Result<CloudId, Failure> {
    let folder = file
        .parent()
        .and_then(Path::file_name)
        .map(|folder| folder.to_string_lossy().into_owned());
    let own = name.split(['-', '.', '_']).next().unwrap_or_default().to_owned();
    let text = if own == "vms" { folder.unwrap_or(own) } else { own };
    Ok(CloudId::new(text)?)
}

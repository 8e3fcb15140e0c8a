//! Whole published lists, read where they are at hand: `SKYLOOM_SHARED_DATA`, or `../shared/data` beside the workspace.
//! They are not part of the project, so this prints that it was skipped where they are not.

use std::io::Read;
use std::path::{Path, PathBuf};

use skyloom_core::Catalogue;
use skyloom_core::catalogue::{CsvOptions, OnRow, Problem};

#[expect(
    clippy::disallowed_methods,
    reason = "finding the optional data is the test's business, not the engine's"
)]
fn folder() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let data = std::env::var("SKYLOOM_SHARED_DATA").map_or_else(|_| beside(), PathBuf::from);
    let folder = data.join("catalog");
    if folder.is_dir() {
        return Some(folder);
    }
    println!(
        "skipped: no published price lists at {} (set SKYLOOM_SHARED_DATA)",
        folder.display()
    );
    None
}

#[expect(clippy::disallowed_methods, reason = "as above")]
fn unpacked(path: &Path) -> Vec<u8> {
    let packed = std::fs::read(path).unwrap();
    if path.extension().is_none_or(|e| e != "gz") {
        return packed;
    }
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(packed.as_slice())
        .read_to_end(&mut bytes)
        .unwrap();
    bytes
}

/// File, rows, rows without a usable machine, rows with an impossible figure.
const LISTS: [(&str, usize, usize, usize); 13] = [
    ("aws-2022-12.csv.gz", 22231, 0, 0),
    ("azure-2022-12.csv.gz", 4738, 0, 0),
    ("gcp-2022-12.csv.gz", 3058, 243, 0),
    ("aws-2026-07.csv.gz", 2640, 5, 0),
    ("azure-2026-06.csv.gz", 55136, 4, 6),
    ("gcp-2026-08.csv.gz", 12721, 104, 0),
    ("lambda.csv", 408, 0, 0),
    ("nebius.csv", 61, 0, 0),
    ("oci.csv", 138, 0, 0),
    ("ovh.csv", 42, 0, 0),
    ("digitalocean.csv", 38, 0, 0),
    ("linode.csv", 28, 0, 0),
    ("vultr.csv", 256, 0, 0),
];

#[test]
fn every_published_list_is_read_and_every_row_accounted_for() {
    let Some(folder) = folder() else { return };
    for (file, rows, unusable, absurd) in LISTS {
        let bytes = unpacked(&folder.join(file));
        let options = CsvOptions::new(file, "a published list", "2026-11-01".parse().unwrap());
        let read = Catalogue::read_csv(&bytes, &options.clone().with_absurd(OnRow::Skip)).unwrap();
        let is_unusable = |p: &Problem| {
            matches!(
                p,
                Problem::NoInstance | Problem::AcceleratorMismatch | Problem::WithoutDevices
            )
        };
        let without_machine = read.skipped.iter().filter(|s| is_unusable(&s.reason)).count();
        let got = (
            read.catalogue.offers().len() + read.skipped.len(),
            without_machine,
            read.skipped.len() - without_machine,
        );
        assert_eq!(got, (rows, unusable, absurd), "{file}: {:?}", read.skipped.last());
        assert_eq!(Catalogue::read_csv(&bytes, &options).is_err(), absurd > 0, "{file}");
    }
}

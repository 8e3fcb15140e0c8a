//! Whole published lists, read where they are at hand: `SKYLOOM_SHARED_DATA`, or `../shared/data` beside the workspace.
//! They are not part of the project, so this prints that it was skipped where they are not.

use std::io::Read;
use std::path::{Path, PathBuf};

use skyloom_core::catalogue::{CsvOptions, OnRow, Problem};
use skyloom_core::{Catalogue, Purchase};

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

#[test]
fn the_builtin_figures_are_the_published_ones() {
    let Some(folder) = folder() else { return };
    let builtin = Catalogue::builtin();
    // The lists whose date the built-in prices of that cloud carry.
    let lists = [
        ("aws-2022-12.csv.gz", "2022-12-01"),
        ("aws-2026-07.csv.gz", "2026-07-20"),
        ("azure-2022-12.csv.gz", "2022-12-01"),
        ("azure-2026-06.csv.gz", "2026-06-18"),
        ("gcp-2026-08.csv.gz", "2026-08-01"),
        ("nebius.csv", "2026-01-01"),
        ("vultr.csv", "2024-01-01"),
        ("ovh.csv", "2025-06-01"),
    ];
    for (file, as_of) in lists {
        let options = CsvOptions::new(file, "a published list", as_of.parse().unwrap()).with_absurd(OnRow::Skip);
        let list = Catalogue::read_csv(&unpacked(&folder.join(file)), &options)
            .unwrap()
            .catalogue;
        let cloud = list.clouds()[0];
        let mut compared = 0;
        for ours in builtin.offers().iter().filter(|o| o.key.region.cloud == *cloud) {
            // One row per zone in some lists; the built-in price is the dearest zone's.
            let rows = || {
                list.in_region(&ours.key.region)
                    .iter()
                    .filter(|o| o.key.instance == ours.key.instance)
            };
            for purchase in [Purchase::OnDemand, Purchase::Spot] {
                let Some(price) = ours.price(purchase).filter(|p| p.as_of == options.as_of) else {
                    continue;
                };
                let published = rows().filter_map(|o| o.price(purchase)).map(|p| p.per_hour).max();
                assert_eq!(Some(price.per_hour), published, "{} {purchase}", ours.key);
                compared += 1;
            }
            assert!(
                rows().all(|o| (o.vcpus, o.capacity) == (ours.vcpus, ours.capacity)),
                "{}",
                ours.key
            );
        }
        assert!(compared >= 20, "{file}: {compared}");
    }
}

//! Reading price lists: both formats, what is skipped, what is refused and how it is said.

use proptest::prelude::*;
use skyloom_core::catalogue::{CatalogueError, CsvOptions, OnRow, Problem, ReadCatalogue};
use skyloom_core::{Bytes, Catalogue, CloudId, OfferKey, Purchase};

const HEADER: &str = "cloud,instance_type,vcpus,memory_gib,accelerator,accelerator_count,arch,region,zone,price_usd_hour,spot_price_usd_hour";

fn options() -> CsvOptions {
    CsvOptions::new("prices.csv", "a published list", "2026-11-01".parse().unwrap())
}

fn flat(rows: &str) -> Result<ReadCatalogue, CatalogueError> {
    Catalogue::read_csv(format!("{HEADER}\n{rows}").as_bytes(), &options())
}

fn sky(cloud: &str, text: &str) -> Result<ReadCatalogue, CatalogueError> {
    Catalogue::read_skypilot_csv(text.as_bytes(), &cloud.parse().unwrap(), &options())
}

fn said(result: Result<ReadCatalogue, CatalogueError>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn the_flat_format_is_read() {
    let read = flat(
        "aws,t3.medium,2,4,,,x86_64,eu-central-1,,0.048,0.0144\n\
         azure,Standard_NV6ads_A10_v5,6,55,A10,0.166667,x86_64,westeurope,,0.59,\n\
         gcp,f1-micro,0.5,0.6,,,x86_64,us-east1,us-east1-b,,0.0000005\n",
    );
    insta::assert_snapshot!(said(read), @"use `0.0000005` in column `spot_price_usd_hour` of `prices.csv`, line 4: the spot price of `0.000001 USD/h` is outside `0.00005 USD/h` to `2.50 USD/h`, the sane range for this size");
    let read = flat(
        "aws,t3.medium,2,4,,,x86_64,eu-central-1,,0.048,0.0144\n\
         azure,Standard_NV6ads_A10_v5,6,55,A10,0.166667,x86_64,westeurope,,0.59,\n\
         gcp,f1-micro,1,0.6,,,x86_64,us-east1,us-east1-b,,0.0034665\n",
    )
    .unwrap();
    assert_eq!(read.skipped, []);
    let offers = read.catalogue.offers();
    assert_eq!(offers.len(), 3);
    let t3 = &offers[0];
    assert_eq!((t3.vcpus.as_millicores(), t3.capacity.cpu.as_millicores()), (2000, 400));
    assert_eq!(t3.price(Purchase::Spot).unwrap().per_hour.as_micros(), 14_400);
    assert_eq!(t3.price(Purchase::OnDemand).unwrap().as_of.to_string(), "2026-11-01");
    let a10 = &offers[1];
    assert_eq!(
        (
            a10.capacity.gpu.as_milligpus(),
            a10.accelerator.as_ref().unwrap().name.as_str()
        ),
        (167, "A10")
    );
    let f1 = &offers[2];
    assert_eq!(
        f1.capacity.memory,
        Bytes::from_bytes(644_245_094),
        "0.6 GiB, rounded half up"
    );
    assert_eq!(f1.on_demand, None);
    assert_eq!(
        f1.price(Purchase::Spot).unwrap().per_hour.as_micros(),
        3467,
        "rounded half up"
    );
    let region = read.catalogue.region(&"gcp/us-east1".parse().unwrap()).unwrap();
    assert_eq!(
        (region.jurisdictions.len(), region.location, region.zones.len()),
        (0, None, 1)
    );
}

#[test]
fn skypilots_format_is_read_in_any_column_order() {
    // The orders that are published for AWS, GCP and DigitalOcean; Azure has a column `Generation` with commas inside.
    let aws = sky(
        "aws",
        "InstanceType,AcceleratorName,AcceleratorCount,vCPUs,MemoryGiB,GpuInfo,Price,SpotPrice,Region,AvailabilityZone\n\
         a1.2xlarge,,,8.0,16.0,,0.2568,0.256800,ap-northeast-1,apne1-az2\n\
         c1.medium,,,2.0,1.69921875,,0.158,0.054700,ap-northeast-1,apne1-az1\n",
    )
    .unwrap()
    .catalogue;
    assert_eq!(aws.offers().len(), 2);
    let c1 = &aws.offers()[1];
    assert_eq!(c1.key.to_string(), "aws/ap-northeast-1 c1.medium (apne1-az1)");
    assert_eq!(c1.capacity.memory.as_bytes(), 1_824_522_240);

    let gcp = sky(
        "gcp",
        "InstanceType,vCPUs,MemoryGiB,AcceleratorName,AcceleratorCount,GpuInfo,Region,AvailabilityZone,Price,SpotPrice\n\
         n2-standard-2,2.0,8.0,,,,europe-west4,europe-west4-a,0.10694,0.02586\n\
         a2-highgpu-1g,12.0,85.0,,,,europe-west4,europe-west4-a,0.81406,0.31824\n\
         ,,,A100,1.0,\"{'Gpus': [{'Name': 'A100', 'Count': 1}]}\",europe-west4,europe-west4-a,2.93,0.88\n\
         TPU-VM,,,,,,us-central1,us-central1-a,0,0\n",
    )
    .unwrap();
    assert_eq!(gcp.catalogue.offers().len(), 1);
    let skipped: Vec<String> = gcp.skipped.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(skipped.join("\n"), @r"
    line 3, column `AcceleratorName`, ``: the row leaves out the devices that the machine always comes with
    line 4, column `InstanceType`, ``: the row names no instance type
    line 5, column `vCPUs`, ``: the size of the machine is unknown
    ");

    let azure = sky(
        "azure",
        "InstanceType,AcceleratorName,AcceleratorCount,vCPUs,MemoryGiB,GpuInfo,Price,SpotPrice,Region,Generation\r\n\
         Standard_B1s,,,1.0,1,,0.0104,,eastus,\"V1,V2\"\r\n",
    )
    .unwrap();
    assert_eq!(azure.catalogue.offers()[0].capacity.cpu.as_millicores(), 100);

    let others = sky(
        "oci",
        "\u{feff}INSTANCETYPE,acceleratorname,AcceleratorCount,vCPUs,MemoryGiB,Price,Region,GPUInfo,SpotPrice\n\
         VM.Standard.E4.Flex$_2_8,,,2,8,0.037,eu-stockholm-1,,0.0185\n\
         eCS4HM,,,32,512.0,1.338,,,\n\
         odd,,,2,4,0.1,\"Sweden, SE, EU\",,\n\
         fraction,L4,0,4,16,0.3,eu-stockholm-1,,\n",
    )
    .unwrap();
    assert_eq!(
        others.catalogue.offers()[0].key.to_string(),
        "oci/eu-stockholm-1 VM.Standard.E4.Flex$_2_8"
    );
    let skipped: Vec<String> = others.skipped.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(skipped.join("\n"), @r"
    line 3, column `Region`, ``: the row names no region
    line 4, column `Region`, `Sweden, SE, EU`: it is not a region: 1 to 128 letters, digits or -_./:+@#
    line 5, column `AcceleratorCount`, `0`: accelerator and accelerator count do not go together
    ");
}

#[test]
fn bad_rows_are_refused_with_their_place() {
    let rows: &[&str] = &[
        "aws,m,2,4,,,,r,,-0.1,",
        "aws,m,2,4,,,,r,,,-0.1",
        "aws,m,2,4,,,,r,,,",
        "aws,m,2,4,,,,r,,0,",
        "aws,m,2,4,,,,r,,NaN,",
        "aws,m,2,4,,,,r,,inf,",
        "aws,m,2,4,,,,r,,1e3,",
        "aws,m,2,4,,,,r,,\"0,1\",",
        "aws,m,2,4,,,,r,,1000,",
        "aws,m,2,4,,,,r,,0.00001,",
        "aws,m,2,4,,,,r,,99999999999999999999999,",
        "aws,m,2,4,B200,1,,r,,0.01,",
        "aws,m,-2,4,,,,r,,0.1,",
        "aws,m,two,4,,,,r,,0.1,",
        "aws,m,5000,4,,,,r,,0.1,",
        "aws,m,2,999999999,,,,r,,0.1,",
        "aws,m,2,4,B200,1000,,r,,50,",
        "aws,m,2,4,B200,x,,r,,50,",
        ",,2,4,B200,1,,r,,-50,",
    ];
    let all: Vec<String> = rows
        .iter()
        .map(|row| said(flat(&format!("aws,ok,2,4,,,,r,,0.1,\n{row}\n"))))
        .collect();
    insta::assert_snapshot!(all.join("\n"), @"
    use `-0.1` in column `price_usd_hour` of `prices.csv`, line 3: it is negative
    use `-0.1` in column `spot_price_usd_hour` of `prices.csv`, line 3: it is negative
    use `` in column `price_usd_hour` of `prices.csv`, line 3: there is neither an on-demand nor a spot price
    use `0` in column `price_usd_hour` of `prices.csv`, line 3: the on-demand price is zero
    use `NaN` in column `price_usd_hour` of `prices.csv`, line 3: it is not a decimal number
    use `inf` in column `price_usd_hour` of `prices.csv`, line 3: it is not a decimal number
    use `1e3` in column `price_usd_hour` of `prices.csv`, line 3: it is not a decimal number
    use `0,1` in column `price_usd_hour` of `prices.csv`, line 3: it is not a decimal number
    use `1000` in column `price_usd_hour` of `prices.csv`, line 3: the on-demand price of `1000.00 USD/h` is outside `0.0002 USD/h` to `10.00 USD/h`, the sane range for this size
    use `0.00001` in column `price_usd_hour` of `prices.csv`, line 3: the on-demand price of `0.00001 USD/h` is outside `0.0002 USD/h` to `10.00 USD/h`, the sane range for this size
    use `99999999999999999999999` in column `price_usd_hour` of `prices.csv`, line 3: it is beyond the largest amount of money
    use `0.01` in column `price_usd_hour` of `prices.csv`, line 3: the on-demand price of `0.01 USD/h` is outside `0.015 USD/h` to `90.00 USD/h`, the sane range for this size
    use `-2` in column `vcpus` of `prices.csv`, line 3: it is negative
    use `two` in column `vcpus` of `prices.csv`, line 3: it is not a decimal number
    use `5000` in column `vcpus` of `prices.csv`, line 3: `5000` vCPUs are outside 1m to `4096`
    use `999999999` in column `memory_gib` of `prices.csv`, line 3: `999999999GiB` of memory are outside 1B to `128TiB`
    use `1000` in column `accelerator_count` of `prices.csv`, line 3: `1000` devices are outside 1m to `256`
    use `x` in column `accelerator_count` of `prices.csv`, line 3: it is not a decimal number
    use `-50` in column `price_usd_hour` of `prices.csv`, line 3: it is negative
    ");
}

#[test]
fn bad_tables_are_refused_with_their_place() {
    let bytes = |bytes: &[u8]| said(Catalogue::read_csv(bytes, &options()));
    insta::assert_snapshot!(bytes(b""), @"find the column `cloud` in the header of `prices.csv`");
    insta::assert_snapshot!(bytes(HEADER.replace("region,", "").as_bytes()), @"find the column `region` in the header of `prices.csv`");
    insta::assert_snapshot!(bytes(HEADER.replace("zone", "region").as_bytes()), @"read the header of `prices.csv`: the column `region` is there more than once");
    insta::assert_snapshot!(bytes(format!("{HEADER}\naws,m,2\n").as_bytes()), @"read `prices.csv`, line 2: 3 fields where the header has 11");
    let mut not_text = format!("{HEADER}\naws,m,2,4,,,,r,,0.1,\n").into_bytes();
    not_text.extend(b"aws,m\xff,2,4,,,,r,,0.1,\n");
    insta::assert_snapshot!(bytes(&not_text), @"read `prices.csv`, line 3: the bytes are not UTF-8");
    insta::assert_snapshot!(bytes(&[0xff, 0xfe, 0, 1]), @"read `prices.csv`, line 1: the bytes are not UTF-8");
    insta::assert_snapshot!(said(sky("aws", "InstanceType,vCPUs,MemoryGiB,Region\n")), @"find the column `Price` in the header of `prices.csv`");
}

#[test]
fn a_long_text_is_cut_in_the_error() {
    let long = "x".repeat(10_000);
    assert!(said(flat(&format!("aws,m,{long},4,,,,r,,0.1,\n"))).len() < 300);
}

#[test]
fn repeated_rows_are_skipped_and_contradictions_refused() {
    let row = "aws,m,2,4,,,,r,,0.1,\n";
    let read = flat(&format!("{row}{row}")).unwrap();
    assert_eq!(read.catalogue.offers().len(), 1);
    assert_eq!(read.skipped[0].reason, Problem::Repeated { first: 2 });
    insta::assert_snapshot!(said(flat(&format!("{row}aws,m,2,4,,,,r,,0.2,\n"))), @"use `m` in column `instance_type` of `prices.csv`, line 3: it contradicts line 2, which has the same cloud, region, zone and instance type");
}

#[test]
fn the_caller_decides_what_a_bad_row_does() {
    let text =
        format!("{HEADER}\naws,,2,4,T4,1,,r,,0.1,\naws,m,2,4,,,,r,,0,\naws,n,2,4,,,,r,,0.1,\naws,o,2,4,,,,r,,-1,\n");
    let read = |options: CsvOptions| Catalogue::read_csv(text.as_bytes(), &options);
    let strict = read(options().with_unusable(OnRow::Refuse)).unwrap_err();
    assert!(matches!(
        strict,
        CatalogueError::Cell {
            line: 2,
            column: "instance_type",
            problem: Problem::NoInstance,
            ..
        }
    ));
    let usual = read(options()).unwrap_err();
    assert!(matches!(
        usual,
        CatalogueError::Cell {
            line: 3,
            column: "price_usd_hour",
            ..
        }
    ));
    let lenient = read(options().with_absurd(OnRow::Skip)).unwrap();
    assert_eq!(lenient.catalogue.offers().len(), 1);
    assert_eq!(lenient.skipped.iter().map(|s| s.line).collect::<Vec<_>>(), [2, 3, 5]);
    // What is not a number is never passed over: the columns may be shifted.
    let shifted = format!("{HEADER}\naws,m,2,4,,,,r,,cheap,\n");
    let all_skipped = options().with_absurd(OnRow::Skip).with_unusable(OnRow::Skip);
    assert!(Catalogue::read_csv(shifted.as_bytes(), &all_skipped).is_err());
}

#[test]
fn a_list_of_ones_own_goes_over_the_builtin_catalogue() {
    let read = flat("aws,m5.large,2,8,,,x86_64,eu-central-1,,0.05,\n").unwrap();
    let builtin = Catalogue::builtin();
    let count = builtin.offers().len();
    let merged = builtin.merge(read.catalogue).unwrap();
    assert_eq!(merged.offers().len(), count);
    let key = OfferKey {
        region: "aws/eu-central-1".parse().unwrap(),
        instance: "m5.large".parse().unwrap(),
        zone: None,
    };
    let price = merged.offer(&key).unwrap().on_demand.unwrap();
    assert_eq!(price.per_hour.as_micros(), 50_000);
    assert_eq!(merged.source(price.source).unwrap().name, "a published list");
    let region = merged.region(&key.region).unwrap();
    assert!(region.jurisdictions.contains(&"EU".parse().unwrap()) && region.zones.len() == 3);
}

/// Rows of a few keys, whose figures follow from the key, so that a repeated key repeats its row.
fn row() -> impl Strategy<Value = String> {
    (0u32..40, prop_oneof![Just(""), Just("z1"), Just("z2")])
        .prop_map(|(n, zone)| format!("aws,m{n},2,{},,,,r{},{zone},0.{:06},\n", n % 7 + 1, n % 3, 10_000 + n))
}

proptest! {
    #[test]
    fn the_order_of_rows_does_not_matter(rows in proptest::collection::vec(row(), 0..30), by in 0usize..30) {
        let mut turned = rows.clone();
        let by = by % rows.len().max(1);
        turned.rotate_left(by);
        turned.reverse();
        let (a, b) = (flat(&rows.concat()).unwrap(), flat(&turned.concat()).unwrap());
        prop_assert_eq!(a.catalogue, b.catalogue);
        prop_assert_eq!(a.skipped.len(), b.skipped.len());
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400), with_header in any::<bool>()) {
        let mut text = if with_header { format!("{HEADER}\n").into_bytes() } else { Vec::new() };
        text.extend(&bytes);
        let cloud: CloudId = "aws".parse().unwrap();
        let lenient = options().with_absurd(OnRow::Skip);
        for result in [Catalogue::read_csv(&text, &lenient), Catalogue::read_skypilot_csv(&text, &cloud, &lenient)] {
            if let Err(error) = result {
                prop_assert!(error.to_string().contains("prices.csv"));
            }
        }
    }

    #[test]
    fn a_damaged_list_is_read_or_refused_with_its_name(rows in proptest::collection::vec(row(), 1..6), at in any::<proptest::sample::Index>(), byte in any::<u8>()) {
        let mut text = format!("{HEADER}\n{}", rows.concat()).into_bytes();
        let at = at.index(text.len());
        text[at] = byte;
        match Catalogue::read_csv(&text, &options()) {
            Ok(read) => prop_assert!(read.catalogue.offers().len() <= rows.len()),
            Err(error) => prop_assert!(error.to_string().contains("prices.csv")),
        }
    }

    #[test]
    fn prices_keep_every_micro_dollar(micros in 200u32..10_000_000) {
        let read = flat(&format!("aws,m,2,4,,,,r,,{}.{:06},\n", micros / 1_000_000, micros % 1_000_000)).unwrap();
        prop_assert_eq!(read.catalogue.offers()[0].on_demand.unwrap().per_hour.as_micros(), i64::from(micros));
    }
}

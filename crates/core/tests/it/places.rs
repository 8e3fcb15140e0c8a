//! Places that a manifest names and a catalogue does not have.

use skyloom_core::{
    Catalogue, Class, DataClass, DataReplica, DataSpec, Location, Manifest, PlaceKind, PlaceUser, Residency,
    check_places,
};

/// A manifest with one data set, built in code.
fn manifest(regions: &[&str]) -> Manifest {
    let at = Some(Location { line: 3, column: 9 });
    let replica = |region: &&str| DataReplica {
        region: region.parse().unwrap(),
        at,
    };
    Manifest {
        name: "shop".parse().unwrap(),
        source: "shop.yaml".to_owned(),
        residency: Residency::default(),
        budget: None,
        revenue: None,
        services: Vec::new(),
        data: vec![DataSpec {
            name: "orders".parse().unwrap(),
            at,
            class: DataClass::Internal,
            replicas: regions.iter().map(replica).collect(),
            sync: None,
            backup: None,
        }],
        moved: Vec::new(),
        imports: Vec::new(),
    }
}

#[test]
fn an_unknown_place_is_named_with_its_place_in_the_manifest() {
    let error = check_places(&manifest(&["aws/eu-west-1"]), &Catalogue::default()).unwrap_err();
    assert_eq!((error.what, error.name.as_str()), (PlaceKind::Cloud, "aws"));
    assert_eq!(error.user, PlaceUser::Data("orders".parse().unwrap()));
    assert_eq!(
        (error.at, error.nearest.as_deref()),
        (Some(Location { line: 3, column: 9 }), None)
    );
    assert_eq!(error.class(), Class::Invalid);
    assert_eq!(
        error.to_string(),
        "find the cloud `aws` of data set `orders` in the catalogue (`shop.yaml`, line 3, column 9)"
    );
}

#[test]
fn a_manifest_without_places_needs_no_catalogue() {
    assert_eq!(check_places(&manifest(&[]), &Catalogue::default()), Ok(()));
}

#[test]
fn without_locations_nothing_tells_where_it_was_written() {
    let bare = manifest(&["aws/x"]).without_locations();
    assert_eq!(
        (bare.source.as_str(), bare.data[0].at, bare.data[0].replicas[0].at),
        ("", None, None)
    );
}

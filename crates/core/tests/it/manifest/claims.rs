//! Names that moved, things to take over, and data that comes first: what is read, and what is refused with its line.

use std::time::Duration;

use skyloom_core::{DataNeed, Manifest, ManifestError, ManifestErrorKind, Moved};

/// A service `web` with `replicas`, a data set `orders`, and more at the end.
fn manifest(replicas: u32, more: &str) -> Result<Manifest, ManifestError> {
    let text = format!(
        "version = 1\nname = \"x\"\n[[service]]\nname = \"web\"\nreplicas = {replicas}\n\
         resources = {{ cpu = 1, memory = 1 }}\nrun = {{ image = \"i\" }}\n\
         [[data]]\nname = \"orders\"\nreplicas = [\"aws/a\"]\n{more}"
    );
    Manifest::parse(&text, "shop.toml")
}

fn moved(pairs: &[(&str, &str)]) -> String {
    let one = |(from, to): &(&str, &str)| format!("[[moved]]\nfrom = \"{from}\"\nto = \"{to}\"\n");
    pairs.iter().map(one).collect()
}

#[test]
fn moves_are_read_with_their_ranges() {
    let read = manifest(3, &moved(&[("old/4-6", "web/0-2"), ("older", "old")])).unwrap();
    let texts: Vec<String> = read
        .moved
        .iter()
        .map(|m: &Moved| format!("{} {}", m.from, m.to))
        .collect();
    assert_eq!(texts, ["old/4-6 web/0-2", "older old"]);
    assert_eq!(read.moved[0].at.unwrap().line, 12);
    let renamed = read.moved[0].rename(&"old/5".parse().unwrap());
    assert_eq!(renamed, Some("web/1".parse().unwrap()));
    assert!(read.without_locations().moved.iter().all(|m| m.at.is_none()));
}

#[test]
fn moves_that_contradict_each_other_are_refused_at_their_line() {
    type Row = (&'static [(&'static str, &'static str)], &'static str, u32);
    let rows: &[Row] = &[
        (
            &[("a", "web"), ("a", "b")],
            "`a` moves away twice (first at line 12)",
            15,
        ),
        (
            &[("a/0-3", "web/0-3"), ("a/3", "b/9")],
            "`a/3` moves away twice (first at line 12)",
            15,
        ),
        (
            &[("a", "web"), ("b", "web")],
            "`web` is moved to twice (first at line 13)",
            16,
        ),
        (&[("a", "b"), ("b", "a")], "moved in a loop: a -> b -> a", 12),
        (
            &[("a", "b"), ("b", "c"), ("c", "a")],
            "moved in a loop: a -> b -> c -> a",
            12,
        ),
        (&[("a/0-1", "a/1-2")], "moved in a loop: a/0-1 -> a/1-2", 12),
        (
            &[("web", "b")],
            "`web` is moved away, and the manifest still asks for it",
            12,
        ),
        (
            &[("web/1", "web/0")],
            "`web/1` is moved away, and the manifest still asks for it",
            12,
        ),
        (
            &[("a", "wep")],
            "`wep` is moved to, and the manifest does not ask for it; did you mean `web`?",
            13,
        ),
        (
            &[("a/0", "web/7")],
            "`web/7` is moved to, and the manifest does not ask for it; did you mean `web`?",
            13,
        ),
        (
            &[("a/0-1", "web/0")],
            "cannot accept `web/0`: expected as many replicas as `a/0-1` has",
            13,
        ),
        (
            &[("a/1-0", "web/0-1")],
            "cannot accept `a/1-0`: expected a service, or",
            12,
        ),
        (&[("a/x", "web/0")], "cannot accept `a/x`: expected a service, or", 12),
        (&[("a/+1", "web/0")], "cannot accept `a/+1`: expected a service, or", 12),
        (&[("a/99999999999", "web/0")], "cannot accept `a/99999999999`", 12),
        (&[("A", "web")], "cannot accept `A` as a service name", 12),
    ];
    for (pairs, message, line) in rows {
        let error = manifest(2, &moved(pairs)).unwrap_err();
        assert!(error.to_string().contains(message), "{pairs:?}: {error}");
        assert_eq!(error.location().line, *line, "{error}");
    }
    let error = manifest(2, &moved(&[("a", "b"), ("b", "a")])).unwrap_err();
    assert!(matches!(error.kind(), ManifestErrorKind::MoveLoop { path } if path.len() == 3));
}

#[test]
fn imports_are_read_and_those_of_nothing_are_refused() {
    let one = |keys: &str| manifest(2, &format!("[[import]]\n{keys}\n"));
    let read = one("replica = \"web/1\"\nresource = \"i-123\"\ncloud = \"aws\"\ntaken_from = \"skyloom-1\"").unwrap();
    let import = &read.imports[0];
    assert_eq!(
        (import.replica.to_string(), import.resource.as_str()),
        ("web/1".to_owned(), "i-123")
    );
    assert_eq!(import.cloud.as_ref().unwrap().as_str(), "aws");
    assert_eq!(import.taken_from.as_ref().unwrap().as_str(), "skyloom-1");
    let rows = [
        (
            "replica = \"web/2\"\nresource = \"i\"",
            "expected a replica that the manifest asks for",
        ),
        (
            "replica = \"api/0\"\nresource = \"i\"",
            "expected a replica that the manifest asks for",
        ),
        (
            "replica = \"web\"\nresource = \"i\"",
            "cannot accept `web` as a replica id",
        ),
        ("replica = \"web/0\"", "missing key `resource`"),
        (
            "replica = \"web/0\"\nresource = \"i\"\nforce = true",
            "unknown key `force`",
        ),
    ];
    for (keys, message) in rows {
        let error = one(keys).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
    let twice = "replica = \"web/0\"\nresource = \"i\"\n[[import]]\nreplica = \"web/1\"\nresource = \"i\"";
    let error = one(twice).unwrap_err().to_string();
    assert!(
        error.contains("duplicate import of resource `i` (first at line 13)"),
        "{error}"
    );
}

#[test]
fn data_and_services_come_first_in_one_list() {
    let with = |depends_on: &str| {
        let more = format!(
            "[[service]]\nname = \"api\"\ndepends_on = {depends_on}\nresources = {{ cpu = 1, memory = 1 }}\n\
             run = {{ image = \"i\" }}\n"
        );
        manifest(1, &more)
    };
    let all = r#"["web", { data = "orders", condition = "synced", max_age = "1h" }]"#;
    let read = with(all).unwrap();
    let api = read.service(&"api".parse().unwrap()).unwrap();
    assert_eq!(api.depends_on.len(), 1);
    let need = DataNeed {
        at: None,
        ..api.synced[0].clone()
    };
    let expected = DataNeed {
        data: "orders".parse().unwrap(),
        max_age: Some(Duration::from_secs(3600)),
        at: None,
    };
    assert_eq!(need, expected);
    let by_table = with(r#"[{ service = "web", condition = "started" }]"#).unwrap();
    let api = by_table.service(&"api".parse().unwrap()).unwrap();
    assert_eq!(api.depends_on[0].condition, skyloom_core::Condition::Started);
    let rows = [
        (
            r#"[{ data = "order" }]"#,
            "unknown data set `order`; did you mean `orders`?",
        ),
        (
            r#"[{ data = "orders", condition = "healthy" }]"#,
            "expected `synced` for a data set",
        ),
        (
            r#"[{ service = "web", condition = "synced" }]"#,
            "expected `synced` beside `data` only",
        ),
        (
            r#"[{ service = "web", max_age = "1h" }]"#,
            "expected `max_age` beside `data` only",
        ),
        (
            r#"[{ service = "web", data = "orders" }]"#,
            "expected exactly one of `service`, `data`",
        ),
        (
            r#"[{ condition = "healthy" }]"#,
            "expected exactly one of `service`, `data`",
        ),
        (
            r#"[{ data = "orders" }, { data = "orders" }]"#,
            "duplicate dependency on data set `orders`",
        ),
        (r#"[{ data = "orders", max_age = "0s" }]"#, "expected more than 0"),
        (r#"[{ data = "orders", condition = "ready" }]"#, "cannot accept `ready`"),
        (r#"["web", { service = "web" }]"#, "duplicate dependency `web`"),
    ];
    for (depends_on, message) in rows {
        let error = with(depends_on).unwrap_err().to_string();
        assert!(error.contains(message), "{depends_on}: {error}");
    }
}

#[test]
fn what_claims_nothing_keeps_its_form() {
    let read = manifest(1, "").unwrap();
    let json = serde_json::to_string(&read).unwrap();
    assert!(
        !json.contains("moved") && !json.contains("imports") && !json.contains("synced"),
        "{json}"
    );
}

//! Texts made to hurt: they get a typed error, and soon.

use std::fmt::Write as _;

use skyloom_core::manifest::{DEPTH_MAX, MANIFEST_BYTES_MAX};
use skyloom_core::{Manifest, ManifestErrorKind};

fn kind_of(text: &str, source: &str) -> ManifestErrorKind {
    Manifest::parse(text, source).unwrap_err().kind().clone()
}

/// `unit` repeated up to just under `bytes`.
fn repeated(unit: &str, bytes: usize) -> String {
    unit.repeat(bytes / unit.len())
}

#[test]
fn ten_megabytes_of_nesting_are_refused_unread() {
    const TEN_MEGABYTES: usize = 10_000_000;
    for (prefix, unit, source) in [
        ("a = ", "[", "x.toml"),
        ("a = ", "{a = ", "x.toml"),
        ("", "a.", "x.toml"),
        ("[", "a.", "x.toml"),
        ("", "[", "x.yaml"),
        ("", "{a: ", "x.yaml"),
        ("", "- ", "x.yaml"),
    ] {
        let text = format!("{prefix}{}", repeated(unit, TEN_MEGABYTES));
        let limit = u64::try_from(MANIFEST_BYTES_MAX).unwrap();
        let expected = ManifestErrorKind::TooLarge { what: "bytes", limit };
        assert_eq!(kind_of(&text, source), expected, "{unit}");
        assert_eq!(
            Manifest::parse_bytes(text.as_bytes(), source).unwrap_err().kind(),
            &expected,
            "{unit}"
        );
    }
}

#[test]
fn nesting_that_fits_the_size_is_too_deep() {
    let room = MANIFEST_BYTES_MAX - 100;
    let steps: String = (0..2000).fold(String::new(), |mut text, level| {
        writeln!(text, "{}a:", " ".repeat(level)).unwrap();
        text
    });
    let rows = [
        (format!("a = {}", repeated("[", room)), "x.toml"),
        (format!("a = {}", repeated("{a = ", room)), "x.toml"),
        (format!("ok = 1\n{}a = 1", repeated("a.", room)), "x.toml"),
        (format!("[{}a]", repeated("a.", room)), "x.toml"),
        (repeated("[", room), "x.yaml"),
        (repeated("{a: ", room), "x.yaml"),
        (repeated("- ", room), "x.yaml"),
        (repeated("? ", room), "x.yaml"),
        (steps, "x.yaml"),
    ];
    for (text, source) in rows {
        let error = Manifest::parse(&text, source).unwrap_err();
        let start: String = text.chars().take(12).collect();
        assert_eq!(
            error.kind(),
            &ManifestErrorKind::TooDeep { limit: DEPTH_MAX },
            "{source}: {start}"
        );
        assert!(error.to_string().len() < 1000, "{source}: {start}");
    }
}

#[test]
fn wide_texts_are_bounded_too() {
    let rows = [
        (format!("a = [{}]", "1,".repeat(500_000)), "x.toml"),
        ("- a\n".repeat(500_000), "x.yaml"),
    ];
    for (text, source) in rows {
        assert!(
            matches!(
                kind_of(&text, source),
                ManifestErrorKind::TooLarge { what: "values", .. }
            ),
            "{source}"
        );
    }
}

#[test]
fn alias_bombs_do_not_explode() {
    let mut laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..30 {
        let aliases = vec![format!("*a{}", level - 1); 9].join(", ");
        writeln!(laughs, "a{level}: &a{level} [{aliases}]").unwrap();
    }
    assert!(matches!(
        kind_of(&laughs, "x.yaml"),
        ManifestErrorKind::TooLarge { what: "values", .. }
    ));
    let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(1 << 20), "*a, ".repeat(1000));
    assert!(matches!(
        kind_of(&long, "x.yaml"),
        ManifestErrorKind::TooLarge {
            what: "bytes behind aliases",
            ..
        }
    ));
    let deep = (1..80).fold("a0: &a0 []\n".to_owned(), |mut text, level| {
        writeln!(text, "a{level}: &a{level} [*a{}]", level - 1).unwrap();
        text
    });
    assert_eq!(
        kind_of(&deep, "x.yaml"),
        ManifestErrorKind::TooDeep { limit: DEPTH_MAX }
    );
    assert!(matches!(
        kind_of("a: &a [*a]\n", "x.yaml"),
        ManifestErrorKind::Unsupported { .. }
    ));
}

#[test]
fn services_and_replicas_are_bounded() {
    let service = |i: usize, replicas: u64| {
        format!("- {{name: s{i}, replicas: {replicas}, resources: {{cpu: 1, memory: 1}}, run: {{image: i}}}}\n")
    };
    let manifest = |services: usize, replicas: u64| {
        let all: String = (0..services).map(|i| service(i, replicas)).collect();
        format!("version: 1\nname: x\nservice:\n{all}")
    };
    assert!(Manifest::parse(&manifest(10, 10_000), "x.yaml").is_ok());
    let rows = [
        (10_001, 1, "services"),
        (1, 10_001, "replicas"),
        (11, 10_000, "replicas"),
    ];
    for (services, replicas, named) in rows {
        let kind = kind_of(&manifest(services, replicas), "x.yaml");
        assert!(
            matches!(kind, ManifestErrorKind::TooLarge { what, .. } if what == named),
            "{services} x {replicas}: {kind}"
        );
    }
}

#[test]
fn bytes_that_are_no_text_are_named_with_their_place() {
    let rows: [(&[u8], u8, (u32, u32)); 4] = [
        (b"version = 1\nname = \"sh\xffop\"\n", 0xff, (2, 11)),
        (b"\xff\xfev\0e\0", 0xff, (1, 1)),
        (b"a = \"\xc3", 0xc3, (1, 6)),
        ("é = \"é".as_bytes().split_last().unwrap().1, 0xc3, (1, 6)),
    ];
    for (bytes, byte, (line, column)) in rows {
        for source in ["x.toml", "x.yaml"] {
            let error = Manifest::parse_bytes(bytes, source).unwrap_err();
            assert_eq!(error.kind(), &ManifestErrorKind::NotUtf8 { byte });
            assert_eq!(
                (error.location().line, error.location().column),
                (line, column),
                "{error}"
            );
        }
    }
}

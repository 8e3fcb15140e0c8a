//! The tidy test: what a machine can judge of `docs/architecture.md` and the house style, over the whole workspace.
//!
//! It reads source as text and `Cargo.toml` as lines on purpose: a rule that needs a parser belongs to clippy.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use walkdir::WalkDir;

/// The wall, tests included; the aim is 500.
const FILE_LINES_MAX: usize = 800;
/// The facade re-exports and wires.
const FACADE_LINES_MAX: usize = 400;
/// Each pure engine alone.
const ENGINE_CRATES_MAX: usize = 45;
/// The facade with default features.
const FACADE_CRATES_MAX: usize = 150;

/// Every crate with the skyloom crates that it may depend on. A new arrow is a change of its own, with a paragraph in
/// `docs/architecture.md`.
const ARROWS: &[(&str, &[&str])] = &[
    ("core", &[]),
    ("scheduler", &["core"]),
    ("orchestrator", &["core"]),
    ("sync", &["core"]),
    ("analytics", &["core"]),
    ("security", &["core"]),
    ("provider", &["core"]),
    ("provider-testkit", &["core", "provider"]),
    ("provider-local", &["core", "provider"]),
    (
        "runtime",
        &[
            "core",
            "scheduler",
            "orchestrator",
            "sync",
            "analytics",
            "security",
            "provider",
        ],
    ),
    (
        "skyloom",
        &[
            "core",
            "scheduler",
            "orchestrator",
            "sync",
            "analytics",
            "security",
            "provider",
            "provider-local",
            "runtime",
        ],
    ),
    // The crash matrix (a feature) carries real plans out on the simulated cloud, and reads the runtime's journals.
    ("testkit", &["core", "orchestrator", "provider", "runtime"]),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

/// All files under the members with this extension, sorted.
fn files(extension: &str) -> Vec<PathBuf> {
    let walk = ["crates", "examples", "benches"]
        .into_iter()
        .flat_map(|top| WalkDir::new(root().join(top)));
    let mut found: Vec<PathBuf> = walk
        .map(|entry| entry.unwrap().into_path())
        .filter(|path| path.extension().is_some_and(|e| e == extension) && !path.iter().any(|part| part == "target"))
        .collect();
    found.sort();
    found
}

fn assert_none(problems: &[String], rule: &str) {
    assert!(problems.is_empty(), "{rule}:\n  {}", problems.join("\n  "));
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

#[test]
fn every_file_says_what_its_room_is_for() {
    let sources = files("rs");
    assert!(sources.len() > 50, "the walk found the workspace");
    let bad: Vec<String> = sources
        .iter()
        .filter(|path| !fs::read_to_string(path).unwrap().starts_with("//! "))
        .map(|path| shown(path))
        .collect();
    assert_none(&bad, "files without a header");
}

#[test]
fn no_file_is_over_the_wall() {
    let lines = |path: &PathBuf| fs::read_to_string(path).unwrap().lines().count();
    let bad: Vec<String> = files("rs")
        .iter()
        .filter(|path| lines(path) > FILE_LINES_MAX)
        .map(|path| format!("{} has {} lines", shown(path), lines(path)))
        .collect();
    assert_none(&bad, "files over the wall");
    let facade: usize = files("rs")
        .iter()
        .filter(|path| path.starts_with(root().join("crates/skyloom/src")))
        .map(lines)
        .sum();
    assert!(facade < FACADE_LINES_MAX, "the facade has {facade} lines");
}

#[test]
fn crate_roots_declare_and_export_only() {
    let bad: Vec<String> = files("rs")
        .iter()
        .filter(|path| path.ends_with("src/lib.rs") && path.starts_with(root().join("crates")))
        .filter(|path| !path.starts_with(root().join("crates/skyloom/src")))
        .filter(|path| {
            let text = fs::read_to_string(path).unwrap();
            text.lines().any(|line| {
                ["fn ", "pub fn ", "impl ", "pub struct ", "pub enum "]
                    .iter()
                    .any(|w| line.starts_with(w))
            })
        })
        .map(|path| shown(path))
        .collect();
    assert_none(&bad, "crate roots with code in them");
}

#[test]
fn every_integration_test_file_is_declared() {
    let mut bad = Vec::new();
    for main in files("rs").iter().filter(|path| path.ends_with("tests/it/main.rs")) {
        let text = fs::read_to_string(main).unwrap();
        for entry in fs::read_dir(main.parent().unwrap()).unwrap() {
            let path = entry.unwrap().path();
            let module = path.file_stem().unwrap().to_string_lossy().into_owned();
            let is_module = path.extension().is_some_and(|e| e == "rs") || path.join("mod.rs").exists();
            if is_module && module != "main" && !text.contains(&format!("mod {module};")) {
                bad.push(shown(&path));
            }
        }
    }
    assert_none(&bad, "integration test files that never run");
}

#[test]
fn nothing_is_skipped_or_left_undone() {
    // Written in two parts, so that this file does not find itself.
    let words = [concat!("#[ig", "nore"), concat!("TO", "DO"), concat!("FIX", "ME")];
    let in_tests = [concat!("thread::sl", "eep(")];
    let mut bad = Vec::new();
    for path in files("rs") {
        let text = fs::read_to_string(&path).unwrap();
        let is_test = path.iter().any(|part| part == "tests");
        for (number, line) in text.lines().enumerate() {
            let banned = words.iter().chain(in_tests.iter().filter(|_| is_test));
            bad.extend(
                banned
                    .filter(|w| line.contains(**w))
                    .map(|w| format!("{}:{}: {w}", shown(&path), number + 1)),
            );
        }
    }
    assert_none(&bad, "skipped tests, undone work, or sleeping");
}

/// The skyloom crates that a manifest depends on, under any condition and for any use but tests.
fn arrows(manifest: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut depends = false;
    for line in manifest.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[') {
            let section = section.split(" #").next().unwrap().trim().trim_end_matches(']');
            // `[dependencies.skyloom-core]` is a section for one dependency.
            let (section, own) = match section.rsplit_once(".skyloom-") {
                Some((section, crate_name)) => (section, Some(crate_name)),
                None => (section, None),
            };
            let kind = section.rsplit('.').next().unwrap();
            depends = matches!(kind, "dependencies" | "build-dependencies");
            found.extend(own.filter(|_| depends).map(str::to_owned));
        } else if let Some(dependency) = line.strip_prefix("skyloom-").filter(|_| depends) {
            found.insert(dependency.split(['.', ' ', '=']).next().unwrap().to_owned());
        } else if depends && !line.starts_with('#') {
            // Under another name it is an arrow all the same.
            assert!(!line.contains("package = \"skyloom"), "a renamed arrow: {line}");
        }
    }
    found
}

#[test]
fn an_arrow_is_seen_in_every_section_but_that_of_tests() {
    let manifest = "[package]\nskyloom-none = 1\n\
        [dev-dependencies]\nskyloom-a.workspace = true\n\
        [dependencies] # after\nskyloom-b.workspace = true\n\
        [target.'cfg(unix)'.dependencies]\nskyloom-c = { workspace = true }\n\
        [target.'cfg(unix)'.dev-dependencies]\nskyloom-d = \"1\"\n\
        [build-dependencies]\n  skyloom-e = \"1\"\n\
        [features]\nskyloom-f = []\n\
        [dev-dependencies.skyloom-g]\npath = \"g\"\n\
        [dependencies.skyloom-h]\npath = \"h\"\n";
    let seen: Vec<String> = arrows(manifest).into_iter().collect();
    assert_eq!(seen, ["b", "c", "e", "h"]);
}

#[test]
fn arrows_point_inward() {
    let mut seen = BTreeSet::new();
    for entry in fs::read_dir(root().join("crates")).unwrap() {
        let folder = entry.unwrap().path();
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
        let allowed = ARROWS.iter().find(|(from, _)| *from == name).map(|(_, to)| *to);
        let allowed = allowed.unwrap_or_else(|| panic!("`{name}` is not in the table of arrows"));
        for to in arrows(&manifest) {
            assert!(allowed.contains(&to.as_str()), "a new arrow: {name} -> {to}");
        }
        seen.insert(name);
    }
    assert_eq!(
        seen.len(),
        ARROWS.len(),
        "the table of arrows names crates that are not there"
    );
}

#[test]
fn members_inherit_what_the_workspace_says_once() {
    let keys = ["version", "edition", "rust-version", "license", "publish"];
    let mut bad = Vec::new();
    for path in files("toml").iter().filter(|path| path.ends_with("Cargo.toml")) {
        let text = fs::read_to_string(path).unwrap();
        bad.extend(
            keys.iter()
                .filter(|key| !text.contains(&format!("{key}.workspace = true")))
                .map(|key| format!("{} does not inherit {key}", shown(path))),
        );
        if !text.contains("[lints]\nworkspace = true") {
            bad.push(format!("{} does not inherit the lints", shown(path)));
        }
    }
    assert_none(&bad, "members on their own");
}

/// The distinct crates in a package's tree, as a user of it would build them: `name version` and more, one per line.
fn tree(package: &str) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "-p", package])
        .args(["--prefix", "none", "--edges", "normal"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let crates: BTreeSet<String> = text
        .lines()
        .map(|line| line.trim_end_matches(" (*)").to_owned())
        .collect();
    assert!(
        crates.iter().any(|line| line.starts_with(&format!("{package} "))),
        "the tree of {package} begins with it"
    );
    crates
}

#[test]
fn dependency_trees_stay_small() {
    for engine in ["skyloom-scheduler", "skyloom-analytics", "skyloom-orchestrator"] {
        let size = tree(engine).len();
        assert!(size <= ENGINE_CRATES_MAX, "{engine} has {size} crates");
    }
    let size = tree("skyloom").len();
    assert!(size <= FACADE_CRATES_MAX, "skyloom has {size} crates");
}

#[test]
fn pure_crates_have_no_async_runtime_in_their_tree() {
    let is_runtime = |line: &String| line.starts_with("tokio ") || line.starts_with("futures ");
    for engine in [
        "skyloom-scheduler",
        "skyloom-analytics",
        "skyloom-orchestrator",
        "skyloom-security",
    ] {
        assert!(!tree(engine).iter().any(is_runtime), "{engine}");
    }
    assert!(
        tree("skyloom-runtime").iter().any(is_runtime),
        "a runtime is recognised where there is one"
    );
}

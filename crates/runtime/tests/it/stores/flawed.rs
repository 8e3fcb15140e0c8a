//! The suite catches every store that breaks a promise.

use skyloom_runtime::store::conformance::run;

use super::model::{Flaw, Models};

#[tokio::test]
async fn every_flaw_is_caught() {
    let mut missed = Vec::new();
    for flaw in Flaw::ALL {
        let report = run(&Models(flaw)).await;
        let failed: Vec<&str> = report.failures().iter().map(|case| case.name).collect();
        println!("{flaw:?}: {}", failed.join(", "));
        if failed.is_empty() {
            missed.push(flaw);
        }
    }
    assert!(missed.is_empty(), "not caught: {missed:?}");
}

//! What the chapters' own code is held to by tests: the scorer of the anomaly benchmark.
#![expect(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

#[path = "../../nab/corpus.rs"]
mod corpus;
#[path = "../../nab/detectors.rs"]
mod detectors;
mod nab;
#[path = "../../nab/score.rs"]
mod score;

type Failure = Box<dyn std::error::Error + Send + Sync>;

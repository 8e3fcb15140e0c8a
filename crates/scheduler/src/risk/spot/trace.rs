//! Whether spot capacity was there, tick by tick, in one zone.
//!
//! Published traces come run-length coded (`value*count;…`), each value the machines that could be had or that lived.
//! Whose columns a file has is its reader's business.

use super::SpotError;

/// Most ticks of a trace: four years of ticks of half a minute.
const POINTS_MAX: usize = 1 << 22;

/// Spot capacity of one zone over time: whether all machines that were asked for could be had (or lived).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpotTrace {
    up: Vec<bool>,
}

impl SpotTrace {
    /// A trace from its ticks in order of time.
    #[must_use]
    pub const fn new(up: Vec<bool>) -> Self {
        Self { up }
    }

    /// Reads `value*count;value*count;…` in order of time. A tick counts as up when its value reaches `nodes`: a job on
    /// several machines at once needs all of them.
    ///
    /// ```
    /// use skyloom_scheduler::risk::spot::SpotTrace;
    ///
    /// let trace = SpotTrace::from_runs("0*1;3*1;4*2;", 4)?;
    /// assert_eq!(trace.up(), [false, false, true, true]);
    /// # Ok::<(), skyloom_scheduler::risk::spot::SpotError>(())
    /// ```
    ///
    /// # Errors
    /// [`SpotError::Run`] for a run of another form or beyond four million ticks, [`SpotError::Zero`] for no nodes.
    pub fn from_runs(text: &str, nodes: u32) -> Result<Self, SpotError> {
        if nodes == 0 {
            return Err(SpotError::Zero {
                what: "number of nodes",
            });
        }
        let mut up = Vec::new();
        let runs = text.trim().trim_end_matches(';');
        for (run, part) in runs.split(';').enumerate() {
            let read = part.trim().split_once('*').and_then(|(value, count)| {
                let value: u32 = value.parse().ok()?;
                let count: usize = count.parse().ok()?;
                (count <= POINTS_MAX - up.len()).then_some((value, count))
            });
            let Some((value, count)) = read else {
                let text = part.chars().take(40).collect();
                return Err(SpotError::Run { text, run });
            };
            up.resize(up.len() + count, value >= nodes);
        }
        Ok(Self { up })
    }

    /// The ticks in order of time.
    #[must_use]
    pub fn up(&self) -> &[bool] {
        &self.up
    }
}

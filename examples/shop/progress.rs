//! A progress bar from the control plane's events. The library draws nothing; this is how a program may.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use skyloom::{Event, Skyloom};
use tokio::task::JoinHandle;

/// Draws on standard error until the plan under way ends; the handle ends then.
pub(crate) fn draw(sky: &Skyloom, what: &'static str) -> JoinHandle<()> {
    let mut events = sky.watch();
    tokio::spawn(async move {
        let bar = ProgressBar::new(0).with_message(what);
        if let Ok(style) = ProgressStyle::with_template("{msg:>10} [{bar:30}] {pos}/{len} {prefix}") {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.enable_steady_tick(Duration::from_millis(100));
        while let Ok(event) = events.recv().await {
            match event {
                Event::PlanBegun { steps, done } => {
                    bar.set_length(steps);
                    bar.set_position(done);
                }
                Event::StepBegun { action, .. } => bar.set_prefix(action),
                Event::StepDone { done, .. } => bar.set_position(done),
                Event::PlanEnded { outcome } => {
                    if let Some(total) = bar.length().filter(|_| outcome == "succeeded") {
                        bar.set_position(total);
                    }
                    bar.set_prefix(outcome);
                    bar.abandon();
                    return;
                }
                _ => {}
            }
        }
    })
}

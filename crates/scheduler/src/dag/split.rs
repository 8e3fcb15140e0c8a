//! Two parts of a part that could not be closed.
//!
//! By the volume of the meter that is priced worst, at a tier's edge; or by a choice of a task that is to blame. Bounding
//! parts, and which comes next, are the search's.

use std::cmp::Reverse;

use super::compile::End;
use super::network::FREE;
use super::node::Node;
use super::prices::{Prices, late_path};
use super::search::Search;
use super::tally::{Tally, region};

impl Search<'_> {
    /// Two parts that together are the part.
    pub(super) fn split(&self, node: Node, prices: &Prices, leading: Option<&Tally>) -> Vec<(Node, Prices)> {
        if let Some(tally) = leading {
            if let Some((meter, at)) = prices.worst(self.compiled, tally) {
                return self.split_volume(&node, prices, meter, at);
            }
            if let Some(task) = self.task_to_blame(&node, prices, tally) {
                return self.split_task(&node, prices, task, tally.picks[task]);
            }
        }
        let widest = (0..node.domains.len()).max_by_key(|task| (node.domains[*task].len(), Reverse(*task)));
        let Some(task) = widest.filter(|task| node.domains[*task].len() > 1) else {
            return Vec::new();
        };
        let pick = leading.map_or(node.domains[task][0], |tally| tally.picks[task]);
        self.split_task(&node, prices, task, pick)
    }

    fn split_volume(&self, node: &Node, prices: &Prices, meter: usize, at: u64) -> Vec<(Node, Prices)> {
        let (low, high) = node.confined[meter];
        let part = |span: (u64, u64)| {
            let mut part = node.clone();
            part.confined[meter] = span;
            (part, prices.clone())
        };
        vec![part((at, high)), part((low, at))]
    }

    /// A task with a choice whose flows are on the meter that is priced worst, or that is on the path that is late.
    fn task_to_blame(&self, node: &Node, prices: &Prices, tally: &Tally) -> Option<usize> {
        let open = |task: &usize| node.domains[*task].len() > 1;
        if let Some(meter) = prices.worst_any(self.compiled, tally) {
            let flows = self.compiled.flows.iter().filter(|flow| {
                let (from, to) = (
                    region(self.compiled, &tally.picks, flow.from),
                    region(self.compiled, &tally.picks, flow.to),
                );
                let on = self.compiled.network.meter_of(from, to);
                on != FREE && on as usize == meter
            });
            let mut best: Option<(u64, usize)> = None;
            for flow in flows {
                for end in [flow.from, flow.to] {
                    if let End::Task(task) = end
                        && open(&task)
                        && best.is_none_or(|(bytes, other)| (flow.bytes, Reverse(task)) > (bytes, Reverse(other)))
                    {
                        best = Some((flow.bytes, task));
                    }
                }
            }
            if let Some((_, task)) = best {
                return Some(task);
            }
        }
        if !self.timed {
            return None;
        }
        let path = late_path(self.compiled, &tally.picks, self.rules.deadline)?;
        let saving = |task: usize| {
            let choices = &self.compiled.steps[task].choices;
            let least = node.domains[task]
                .iter()
                .map(|choice| choices[*choice].millis)
                .min()
                .unwrap_or(0);
            choices[tally.picks[task]].millis.saturating_sub(least)
        };
        path.tasks
            .into_iter()
            .filter(open)
            .max_by_key(|task| (saving(*task), Reverse(*task)))
    }

    /// With and without the region of a choice, or where only one region is left, the choice itself.
    fn split_task(&self, node: &Node, prices: &Prices, task: usize, pick: usize) -> Vec<(Node, Prices)> {
        let choices = &self.compiled.steps[task].choices;
        // What was chosen may have been dropped since.
        let is_left = node.domains[task].contains(&pick);
        let pick = if is_left { pick } else { node.domains[task][0] };
        let region = choices[pick].region;
        let several = node.domains[task]
            .iter()
            .any(|choice| choices[*choice].region != region);
        let part = |wanted: bool| {
            let mut part = node.clone();
            let is_in = |choice: &usize| {
                if several {
                    choices[*choice].region == region
                } else {
                    *choice == pick
                }
            };
            part.domains[task].retain(|choice| is_in(choice) == wanted);
            (part, prices.clone())
        };
        vec![part(false), part(true)]
    }
}

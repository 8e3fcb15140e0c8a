//! A plan as a picture: steps from left to right, folded where there are many of one kind, with prices and a legend.

use std::collections::BTreeMap;

use skyloom_core::{Action, Machine, MicroUsdPerHour, Plan, ServiceName, Step, Until};

use super::layout::{Point, lay_out};
use super::look::Look;
use super::svg::{Card, GREY, INK, Stroke, Svg, text_width};

/// How a picture is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SvgConfig {
    /// More steps of one kind and one service than this become one box.
    pub fold_above: usize,
}

impl SvgConfig {
    /// Up to six of a kind side by side: about what one looks at without counting.
    #[must_use]
    pub const fn new() -> Self {
        Self { fold_above: 6 }
    }

    /// The same, folding more than this; `usize::MAX` never folds.
    #[must_use]
    pub const fn with_fold_above(mut self, steps: usize) -> Self {
        self.fold_above = steps;
        self
    }
}

impl Default for SvgConfig {
    fn default() -> Self {
        Self::new()
    }
}

const DONE: Stroke = Stroke {
    colour: "#8c959f",
    dashes: "",
    arrow: "a-done",
};
const HEALTHY: Stroke = Stroke {
    colour: "#1a7f37",
    dashes: "",
    arrow: "a-healthy",
};
const COMPLETED: Stroke = Stroke {
    colour: "#8250df",
    dashes: "6 3",
    arrow: "a-completed",
};

const fn stroke_of(until: Until) -> Stroke {
    match until {
        Until::Done => DONE,
        Until::Healthy => HEALTHY,
        Until::Completed => COMPLETED,
    }
}

/// The plan as a self-contained SVG document. Equal plans give equal bytes; texts of the plan are escaped.
///
/// A box is a step: what, where, and what it changes of the price; why is its tooltip. More than
/// [`SvgConfig::fold_above`] steps of one kind and one service are one box. A box with round ends is a set of steps that
/// others wait for together. An arrow's colour tells what is waited for.
///
/// ```
/// use skyloom_core::{Snapshot, Timestamp};
/// use skyloom_orchestrator::{SvgConfig, destroy, render_svg};
///
/// let plan = destroy(&"shop".parse()?, &Snapshot::empty(1, Timestamp::EPOCH), None)?;
/// let picture = render_svg(&plan, &SvgConfig::new());
/// assert!(picture.starts_with("<svg ") && picture.contains("nothing to do"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn render_svg(plan: &Plan, config: &SvgConfig) -> String {
    let drawn = Drawn::new(plan, *config);
    let mut svg = Svg::new();
    let top = head(&mut svg, plan);
    if plan.is_empty() {
        svg.text(Point { x: 16, y: top + 20 }, "nothing to do", GREY, false);
    }
    let sizes: Vec<_> = drawn.cards.iter().map(Card::size).collect();
    let pairs: Vec<(usize, usize)> = drawn.edges.keys().copied().collect();
    let strokes: Vec<Stroke> = drawn.edges.values().map(|until| stroke_of(*until)).collect();
    let layout = lay_out(&sizes, &pairs);
    svg.graph(Point { x: 16, y: top + 16 }, &layout, &drawn.cards, &strokes);
    let label = format!("plan of {} with {} steps", plan.deployment, plan.steps.len());
    svg.finish(&label, &[DONE, HEALTHY, COMPLETED])
}

/// Name, prices and legend; returns where the picture may begin.
fn head(svg: &mut Svg, plan: &Plan) -> i64 {
    let (id, generation) = (plan.id().short(), plan.snapshot.generation);
    let title = format!("plan {id} of {} from generation {generation}", plan.deployment);
    svg.text(Point { x: 16, y: 26 }, &title, INK, true);
    let change = plan.price_after.checked_sub(plan.price_before).map(signed);
    let price = format!(
        "price {} → {} ({})",
        plan.price_before,
        plan.price_after,
        change.unwrap_or_default()
    );
    svg.text(Point { x: 16, y: 46 }, &price, INK, false);
    let mut y = 46;
    if let Some(targets) = &plan.targets {
        y += 20;
        let names = |names: &std::collections::BTreeSet<ServiceName>| {
            names.iter().map(ServiceName::as_str).collect::<Vec<_>>().join(", ")
        };
        let mut text = format!("partial: only {}", names(&targets.services));
        if !targets.left_out.is_empty() {
            text += &format!("; left as it is: {}", names(&targets.left_out));
        }
        svg.text(Point { x: 16, y }, &text, "#9a6700", true);
    }
    y += 22;
    let mut x = 16;
    for look in Look::ALL {
        let count = plan.steps.iter().filter(|step| Look::of(step) == look).count();
        if count == 0 {
            continue;
        }
        svg.swatch(Point { x, y: y - 11 }, look.colours());
        let text = format!("{} {} {count}", look.sign(), look.word());
        svg.text(Point { x: x + 20, y }, &text, INK, false);
        x += 20 + text_width(&text) + 18;
    }
    if plan.is_empty() {
        return y - 22;
    }
    for (stroke, word) in [(DONE, "done"), (HEALTHY, "healthy"), (COMPLETED, "completed")] {
        svg.line(Point { x, y: y - 4 }, 26, stroke);
        svg.text(Point { x: x + 32, y }, word, INK, false);
        x += 32 + text_width(word) + 18;
    }
    y
}

fn signed(difference: MicroUsdPerHour) -> String {
    let plus = if difference >= MicroUsdPerHour::ZERO { "+" } else { "" };
    format!("{plus}{difference}")
}

/// What is drawn: boxes, and what each waits for of which other.
struct Drawn {
    cards: Vec<Card>,
    /// Of several edges between two boxes, the one that asks for most.
    edges: BTreeMap<(usize, usize), Until>,
}

/// What folds together: steps of one look about one service, or about machines.
type Fold<'a> = (Look, Option<&'a ServiceName>);

fn fold_of(step: &Step) -> Option<Fold<'_>> {
    match &step.action {
        Action::SyncData { .. } | Action::Gate { .. } => None,
        action => Some((Look::of(step), action.replica().map(skyloom_core::ReplicaId::service))),
    }
}

impl Drawn {
    fn new(plan: &Plan, config: SvgConfig) -> Self {
        let mut members: BTreeMap<Fold<'_>, Vec<&Step>> = BTreeMap::new();
        for step in &plan.steps {
            if let Some(fold) = fold_of(step) {
                members.entry(fold).or_default().push(step);
            }
        }
        let mut cards = Vec::new();
        let mut box_of_fold: BTreeMap<Fold<'_>, usize> = BTreeMap::new();
        let mut box_of_step = Vec::with_capacity(plan.steps.len());
        for step in &plan.steps {
            let many = fold_of(step).filter(|fold| members[fold].len() > config.fold_above);
            let number = match many {
                None => {
                    cards.push(single(step));
                    cards.len() - 1
                }
                Some(fold) => *box_of_fold.entry(fold).or_insert_with(|| {
                    cards.push(folded(fold, &members[&fold]));
                    cards.len() - 1
                }),
            };
            box_of_step.push(number);
        }
        let first_barrier = cards.len();
        cards.extend(plan.barriers.iter().map(|barrier| Card {
            lines: vec![barrier.name.clone()],
            title: format!("{}: what waits for this waits for all of it", barrier.name),
            stroke: "#8c959f",
            fill: "#ffffff",
            is_barrier: true,
        }));
        let mut drawn = Self {
            cards,
            edges: BTreeMap::new(),
        };
        let steps = plan.steps.iter().zip(&box_of_step);
        let steps = steps.map(|(step, number)| (*number, &step.after, &step.after_all));
        let barriers = plan.barriers.iter().enumerate();
        let barriers = barriers.map(|(i, b)| (first_barrier + i, &b.after, &b.after_all));
        for (target, after, after_all) in steps.chain(barriers) {
            for edge in after {
                if let Some(source) = box_of_step.get(edge.step.0 as usize) {
                    drawn.link(*source, target, edge.until);
                }
            }
            for barrier in after_all {
                let source = first_barrier + barrier.0 as usize;
                if source < drawn.cards.len() {
                    drawn.link(source, target, Until::Done);
                }
            }
        }
        drawn
    }

    fn link(&mut self, source: usize, target: usize, until: Until) {
        if source == target {
            // Inside a folded box: its steps wait for each other.
            let card = &mut self.cards[source];
            if card.lines.len() < 3 {
                card.lines.push(String::from("some at a time"));
            }
            return;
        }
        let known = self.edges.entry((source, target)).or_insert(until);
        *known = until.max(*known);
    }
}

fn single(step: &Step) -> Card {
    let look = Look::of(step);
    let (stroke, fill) = look.colours();
    let (what, place, kind) = match &step.action {
        Action::CreateMachine { machine } => machine_card(machine, &format!("machine {}", machine.id)),
        Action::AdoptMachine { machine, resource, .. } => machine_card(machine, &format!("machine {resource}")),
        Action::CreateReplica { spec } => (spec.replica.to_string(), format!("on {}", spec.machine), None),
        Action::DeleteReplica { replica, machine, .. } | Action::AwaitReplica { replica, machine, .. } => {
            (replica.to_string(), format!("on {machine}"), None)
        }
        Action::DeleteMachine { machine, site, .. } => (format!("machine {machine}"), site.to_string(), None),
        Action::RenameReplica { spec, was, .. } => (
            format!("{was} becomes {}", spec.replica),
            format!("on {}", spec.machine),
            None,
        ),
        Action::AdoptReplica { spec, resource, .. } => (
            format!("{resource} becomes {}", spec.replica),
            format!("on {}", spec.machine),
            None,
        ),
        Action::SyncData { data, site, copies, .. } => (
            format!("data {data}"),
            format!("{} and {} more equal", site.region, copies.len()),
            None,
        ),
        Action::Gate { gate } => (
            format!("{}, {} new", gate.service, gate.watched.len()),
            format!("for {:?}", gate.length()),
            None,
        ),
    };
    let mut lines = vec![format!("{} {} {what}", step.id, look.sign()), place];
    let last: Vec<String> = kind.into_iter().chain(price_change([step])).collect();
    if !last.is_empty() {
        lines.push(last.join(" "));
    }
    Card {
        lines,
        title: format!("{}: {}", step.action, step.why),
        stroke,
        fill,
        is_barrier: false,
    }
}

/// What, where and of which type.
fn machine_card(machine: &Machine, what: &str) -> (String, String, Option<String>) {
    let (site, instance) = (machine.site.to_string(), machine.instance.to_string());
    (what.to_owned(), site, Some(instance))
}

fn folded((look, service): Fold<'_>, steps: &[&Step]) -> Card {
    let (stroke, fill) = look.colours();
    let what = service.map_or("machines", ServiceName::as_str);
    let ids: Vec<String> = steps.iter().map(|step| step.id.to_string()).collect();
    let span = match (ids.first(), ids.last()) {
        (Some(first), Some(last)) => format!("{first} to {last}"),
        _ => String::new(),
    };
    let mut machines: Vec<String> = steps.iter().filter_map(|step| machine_of(&step.action)).collect();
    machines.sort_unstable();
    machines.dedup();
    let place = match machines.as_slice() {
        _ if service.is_none() => span,
        [one] => format!("{span}, on {one}"),
        many => format!("{span}, on {} machines", many.len()),
    };
    let mut lines = vec![format!("{} {} {what}", look.sign(), steps.len()), place];
    lines.extend(price_change(steps.iter().copied()));
    let title: Vec<String> = steps
        .iter()
        .map(|step| format!("{} {}: {}", step.id, step.action, step.why))
        .collect();
    Card {
        lines,
        title: title.join("; "),
        stroke,
        fill,
        is_barrier: false,
    }
}

fn machine_of(action: &Action) -> Option<String> {
    match action {
        Action::CreateReplica { spec } | Action::RenameReplica { spec, .. } | Action::AdoptReplica { spec, .. } => {
            Some(spec.machine.to_string())
        }
        Action::DeleteReplica { machine, .. } | Action::AwaitReplica { machine, .. } => Some(machine.to_string()),
        _ => None,
    }
}

/// What steps change of the price, where they change it and it can be held.
fn price_change<'a>(steps: impl IntoIterator<Item = &'a Step>) -> Option<String> {
    let mut sum = MicroUsdPerHour::ZERO;
    for step in steps {
        sum = sum.checked_add(step.price_after)?.checked_sub(step.price_before)?;
    }
    (sum != MicroUsdPerHour::ZERO).then(|| signed(sum))
}

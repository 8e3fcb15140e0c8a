//! A service graph as a picture: what comes first on the left.

use super::layout::{Point, lay_out};
use super::svg::{Card, Stroke, Svg};
use crate::ServiceGraph;
use skyloom_core::Condition;

const STARTED: Stroke = Stroke {
    colour: "#8c959f",
    dashes: "",
    arrow: "a-started",
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

impl ServiceGraph {
    /// The graph as a self-contained SVG document: an arrow from each service to what waits for it, with the colour of
    /// the condition. Equal graphs give equal bytes.
    #[must_use]
    pub fn to_svg(&self) -> String {
        let names: Vec<_> = self.order().collect();
        let cards: Vec<Card> = names
            .iter()
            .map(|name| Card {
                lines: vec![name.to_string(), format!("×{}", self.replicas(name).len())],
                title: name.to_string(),
                stroke: "#0969da",
                fill: "#eef6ff",
                is_barrier: false,
            })
            .collect();
        let numbers: std::collections::BTreeMap<_, usize> = names.iter().copied().zip(0..).collect();
        let (mut pairs, mut strokes) = (Vec::new(), Vec::new());
        for (target, name) in names.iter().enumerate() {
            for (dependency, condition) in self.dependencies(name) {
                if let Some(source) = numbers.get(dependency) {
                    pairs.push((*source, target));
                    strokes.push(match condition {
                        Condition::Started => STARTED,
                        Condition::Healthy => HEALTHY,
                        Condition::Completed => COMPLETED,
                    });
                }
            }
        }
        let sizes: Vec<_> = cards.iter().map(Card::size).collect();
        let layout = lay_out(&sizes, &pairs);
        let mut svg = Svg::new();
        let mut x = 16;
        for (stroke, word) in [(STARTED, "started"), (HEALTHY, "healthy"), (COMPLETED, "completed")] {
            svg.line(Point { x, y: 18 }, 26, stroke);
            svg.text(Point { x: x + 32, y: 22 }, word, super::svg::INK, false);
            x += 32 + super::svg::text_width(word) + 18;
        }
        svg.graph(Point { x: 16, y: 42 }, &layout, &cards, &strokes);
        svg.finish(&format!("{} services", names.len()), &[STARTED, HEALTHY, COMPLETED])
    }
}

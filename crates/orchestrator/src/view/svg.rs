//! SVG text: boxes, curves and words, escaped. What they mean is not known here.

use super::layout::{Layout, Point, Size, Way};

/// Advance of a character of the monospaced face at 12 px, in tenths of a pixel.
const ADVANCE_TENTHS: i64 = 73;
const LINE_HEIGHT: i64 = 17;
const PADDING: i64 = 9;
/// Characters of a line of a box; a longer text is cut, and whole in the tooltip.
const LINE_CHARS_MAX: usize = 44;

/// A box with lines of text; the first is bold, the others are grey.
#[derive(Debug, Clone, Default)]
pub(super) struct Card {
    pub(super) lines: Vec<String>,
    /// Shown when the mouse rests on it.
    pub(super) title: String,
    pub(super) stroke: &'static str,
    pub(super) fill: &'static str,
    /// A box drawn with round ends and a dashed border.
    pub(super) is_barrier: bool,
}

/// How an edge is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stroke {
    pub(super) colour: &'static str,
    pub(super) dashes: &'static str,
    /// Name of the arrowhead of this colour.
    pub(super) arrow: &'static str,
}

/// A growing picture.
#[derive(Debug)]
pub(super) struct Svg {
    body: String,
    width: i64,
    height: i64,
}

pub(super) const INK: &str = "#1f2328";
pub(super) const GREY: &str = "#57606a";

/// Text as it may stand between tags and in attributes; characters that XML does not have become spaces.
pub(super) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => safe.push(' '),
            c => safe.push(c),
        }
    }
    safe
}

/// Pixels that a text is wide.
pub(super) fn text_width(text: &str) -> i64 {
    let chars = i64::try_from(text.chars().count()).unwrap_or(i64::MAX / ADVANCE_TENTHS);
    chars.saturating_mul(ADVANCE_TENTHS) / 10
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(LINE_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

impl Card {
    pub(super) fn size(&self) -> Size {
        let widest = self.lines.iter().map(|line| text_width(&cut(line))).max().unwrap_or(0);
        let lines = i64::try_from(self.lines.len()).unwrap_or(1);
        let padding = if self.is_barrier { 2 * PADDING } else { PADDING };
        Size {
            width: widest + 2 * padding,
            height: lines * LINE_HEIGHT + if self.is_barrier { 6 } else { PADDING },
        }
    }
}

impl Svg {
    pub(super) const fn new() -> Self {
        Self {
            body: String::new(),
            width: 0,
            height: 0,
        }
    }

    fn reach(&mut self, x: i64, y: i64) {
        self.width = self.width.max(x);
        self.height = self.height.max(y);
    }

    pub(super) fn text(&mut self, at: Point, text: &str, colour: &str, is_bold: bool) {
        let weight = if is_bold { " font-weight=\"bold\"" } else { "" };
        self.body += &format!(
            "<text x=\"{}\" y=\"{}\" fill=\"{colour}\"{weight}>{}</text>\n",
            at.x,
            at.y,
            escaped(text)
        );
        self.reach(at.x + text_width(text), at.y + 6);
    }

    pub(super) fn swatch(&mut self, at: Point, (stroke, fill): (&str, &str)) {
        self.body += &format!(
            "<rect x=\"{}\" y=\"{}\" width=\"14\" height=\"14\" rx=\"3\" fill=\"{fill}\" stroke=\"{stroke}\"/>\n",
            at.x, at.y
        );
    }

    pub(super) fn line(&mut self, at: Point, length: i64, stroke: Stroke) {
        let (from, to) = ((at.x, at.x, at.y), (at.x + length, at.x + length, at.y));
        let way = Way {
            pieces: vec![from, to],
            reversed: false,
        };
        self.edge(Point::default(), &way, stroke);
    }

    pub(super) fn card(&mut self, at: Point, card: &Card) {
        let Size { width, height } = card.size();
        let (rx, dashes) = if card.is_barrier {
            (height / 2, " stroke-dasharray=\"4 3\"")
        } else {
            (5, "")
        };
        self.body += &format!(
            "<g><title>{}</title><rect x=\"{}\" y=\"{}\" width=\"{width}\" height=\"{height}\" rx=\"{rx}\" fill=\"{}\" \
             stroke=\"{}\"{dashes}/>\n",
            escaped(&card.title),
            at.x,
            at.y,
            card.fill,
            card.stroke
        );
        let indent = if card.is_barrier { 2 * PADDING } else { PADDING };
        let mut y = at.y + LINE_HEIGHT - if card.is_barrier { 2 } else { 0 };
        for (i, line) in card.lines.iter().enumerate() {
            let (colour, is_bold) = if i == 0 { (INK, !card.is_barrier) } else { (GREY, false) };
            self.text(Point { x: at.x + indent, y }, &cut(line), colour, is_bold);
            y += LINE_HEIGHT;
        }
        self.body += "</g>\n";
        self.reach(at.x + width, at.y + height);
    }

    pub(super) fn edge(&mut self, origin: Point, way: &Way, stroke: Stroke) {
        let Some((first, rest)) = way.pieces.split_first() else {
            return;
        };
        let (x, y) = (origin.x, origin.y);
        let mut path = format!("M{} {}", first.0 + x, first.2 + y);
        if first.1 > first.0 {
            path += &format!(" H{}", first.1 + x);
        }
        let mut end = (first.1, first.2);
        for (from, to, row) in rest {
            let half = (from - end.0) / 2;
            path += &format!(
                " C{} {} {} {} {} {}",
                end.0 + half + x,
                end.1 + y,
                from - half + x,
                row + y,
                from + x,
                row + y
            );
            if to > from {
                path += &format!(" H{}", to + x);
            }
            end = (*to, *row);
        }
        let Stroke { colour, dashes, arrow } = stroke;
        let dashes = if dashes.is_empty() {
            String::new()
        } else {
            format!(" stroke-dasharray=\"{dashes}\"")
        };
        let head = if way.reversed { "marker-start" } else { "marker-end" };
        self.body += &format!(
            "<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.2\"{dashes} {head}=\"url(#{arrow})\"/>\n"
        );
    }

    /// Boxes over edges, both from this place on.
    pub(super) fn graph(&mut self, origin: Point, layout: &Layout, cards: &[Card], strokes: &[Stroke]) {
        for (way, stroke) in layout.edges.iter().zip(strokes) {
            self.edge(origin, way, *stroke);
        }
        for (point, card) in layout.boxes.iter().zip(cards) {
            let at = Point {
                x: origin.x + point.x,
                y: origin.y + point.y,
            };
            self.card(at, card);
        }
        self.reach(origin.x + layout.width, origin.y + layout.height);
    }

    /// The whole document; `label` is what is read out instead of the picture.
    pub(super) fn finish(self, label: &str, strokes: &[Stroke]) -> String {
        let (width, height) = (self.width + 16, self.height + 16);
        let mut text = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
             role=\"img\" aria-label=\"{}\" font-family=\"DejaVu Sans Mono, Menlo, Consolas, monospace\" \
             font-size=\"12\">\n<defs>\n",
            escaped(label)
        );
        for Stroke { colour, arrow, .. } in strokes {
            text += &format!(
                "<marker id=\"{arrow}\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"7\" markerHeight=\"7\" \
                 orient=\"auto-start-reverse\"><path d=\"M0 0L8 4L0 8z\" fill=\"{colour}\"/></marker>\n"
            );
        }
        text += "</defs>\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n";
        text += &self.body;
        text += "</svg>\n";
        text
    }
}

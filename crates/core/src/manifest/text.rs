//! A manifest's text and the places in it: byte spans, lines, columns, and the excerpt under an error.
//!
//! Reading values does not belong here. Spans are bytes, because both formats can give them; lines and columns are
//! for people and are worked out only when somebody looks.

use crate::Location;

/// Longest piece of a source line that an error shows: a terminal's width. A manifest may be one line of megabytes.
const EXCERPT_CHARS_MAX: usize = 100;
/// How much of a cut line stands before the offending text.
const EXCERPT_CHARS_BEFORE: usize = 40;

/// A range of bytes of the text, on character boundaries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Span {
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl Span {
    pub(crate) const fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }
}

/// The text of a manifest with its name and line starts.
#[derive(Debug)]
pub(crate) struct Text<'t> {
    pub(crate) name: &'t str,
    pub(crate) text: &'t str,
    /// Byte at which each line starts; never empty. A line ends with `\n`, `\r\n` or (as YAML has it) a lone `\r`.
    line_starts: Vec<usize>,
}

/// A source line, cut to a window around the offending text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Excerpt {
    pub(crate) line: String,
    /// Characters of `line` before the offending text.
    pub(crate) before: usize,
    /// Characters of `line` under which carets stand; at least 1.
    pub(crate) width: usize,
}

impl Excerpt {
    /// The same with stars from the offending text to the end of the line.
    pub(crate) fn masked(mut self) -> Self {
        let masked = self
            .line
            .chars()
            .enumerate()
            .map(|(i, c)| if i < self.before { c } else { '*' });
        self.line = masked.collect();
        self
    }
}

impl<'t> Text<'t> {
    pub(crate) fn new(name: &'t str, text: &'t str) -> Self {
        let bytes = text.as_bytes();
        let ends_line = |i: usize| bytes[i] == b'\n' || (bytes[i] == b'\r' && bytes.get(i + 1) != Some(&b'\n'));
        let starts = (0..bytes.len()).filter(|&i| ends_line(i)).map(|i| i + 1);
        Self {
            name,
            text,
            line_starts: std::iter::once(0).chain(starts).collect(),
        }
    }

    /// The line (from 0) that holds a byte.
    fn line_of(&self, byte: usize) -> usize {
        self.line_starts
            .partition_point(|&start| start <= byte)
            .saturating_sub(1)
    }

    /// The bytes of a line without its end; nothing for a line that is not there.
    pub(crate) fn line_span(&self, line: usize) -> Span {
        let end_of_text = self.text.len();
        let start = self.line_starts.get(line).copied().unwrap_or(end_of_text);
        let end = self.line_starts.get(line + 1).copied().unwrap_or(end_of_text);
        let body = self.text[start..end].trim_end_matches(['\r', '\n']);
        Span::new(start, start + body.len())
    }

    /// A span inside the text and on character boundaries, whatever a parser said.
    pub(crate) fn clamp(&self, span: Span) -> Span {
        let floor = |mut at: usize| {
            at = at.min(self.text.len());
            while !self.text.is_char_boundary(at) {
                at -= 1;
            }
            at
        };
        let start = floor(span.start);
        Span::new(start, floor(span.end).max(start))
    }

    /// Line and column, from 1, of a byte; a line's end counts as one place, however many bytes it has.
    pub(crate) fn location(&self, byte: usize) -> Location {
        let byte = self.clamp(Span::new(byte, byte)).start;
        let line = self.line_of(byte);
        let byte = byte.min(self.line_span(line).end);
        let column = self.text[self.line_starts[line]..byte].chars().count();
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX).saturating_add(1);
        Location {
            line: count(line),
            column: count(column),
        }
    }

    /// The line on which a span starts, cut around it.
    pub(crate) fn excerpt(&self, span: Span) -> Excerpt {
        let span = self.clamp(span);
        let line = self.line_span(self.line_of(span.start));
        let start = span.start.min(line.end);
        let end = span.end.clamp(start, line.end);
        let head: Vec<char> = self.text[line.start..start]
            .chars()
            .rev()
            .take(EXCERPT_CHARS_BEFORE + 1)
            .collect();
        let cut_before = head.len() > EXCERPT_CHARS_BEFORE;
        let mut shown = String::new();
        if cut_before {
            shown.push('…');
        }
        shown.extend(head.iter().rev().skip(usize::from(cut_before)).map(|&c| printable(c)));
        let before = shown.chars().count();
        let room = EXCERPT_CHARS_MAX.saturating_sub(before);
        let tail: Vec<char> = self.text[start..line.end].chars().take(room + 1).collect();
        shown.extend(tail.iter().take(room).map(|&c| printable(c)));
        if tail.len() > room {
            shown.push('…');
        }
        let width = self.text[start..end].chars().take(room).count().max(1);
        Excerpt {
            line: shown,
            before,
            width,
        }
    }
}

/// One column per character: control characters (tabs too) would move the carets.
fn printable(c: char) -> char {
    match c {
        '\t' => ' ',
        c if c.is_control() => '\u{fffd}',
        c => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_become_lines_and_columns() {
        let text = Text::new("x", "a\nüb\r\n\rc");
        let rows = [
            (0, (1, 1)),
            (1, (1, 2)),
            (2, (2, 1)),
            (3, (2, 1)),
            (4, (2, 2)),
            (5, (2, 3)),
            (6, (2, 3)),
            (7, (3, 1)),
            (8, (4, 1)),
            (99, (4, 2)),
        ];
        for (byte, (line, column)) in rows {
            assert_eq!(text.location(byte), Location { line, column }, "byte {byte}");
        }
        assert_eq!(Text::new("x", "").location(5), Location { line: 1, column: 1 });
    }

    #[test]
    fn long_lines_are_cut_around_the_offence() {
        let line = format!("{}BAD{}", "x".repeat(5000), "y".repeat(5000));
        let excerpt = Text::new("x", &line).excerpt(Span::new(5000, 5003));
        assert_eq!((excerpt.before, excerpt.width), (41, 3));
        assert!(excerpt.line.starts_with("…x") && excerpt.line.ends_with("y…"));
        assert_eq!(excerpt.line.chars().count(), EXCERPT_CHARS_MAX + 1);
    }
}

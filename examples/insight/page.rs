//! The page: pictures and tables in one file without anything from elsewhere. What comes from the input is escaped.

use std::fmt::Write;

use plotters::style::RGBColor;
use skyloom::core::Timestamp;

use crate::Failure;
use crate::draw::{self, heights, picture, short};
use crate::study::Study;

/// Alarms of one series that are listed beside the picture; all are drawn and kept in the page.
const LISTED: usize = 8;

/// Marks of the pictures, with their look in light and in dark.
const LOOKS: [(RGBColor, &str, &str, &str); 7] = [
    (draw::INK, "ink", "#4a5160", "#b4bccb"),
    (draw::GRID, "grid", "#e4e7ee", "#2c3341"),
    (draw::LINE, "line", "#2458a6", "#7fb0ff"),
    (draw::EXPECTED, "expected", "#dbe6f6", "#1e2d45"),
    (draw::AHEAD, "ahead", "#b3630d", "#ffb457"),
    (draw::INTERVAL, "interval", "#fbe3c4", "#4a3417"),
    (draw::ALARM, "alarm", "#c22f2a", "#ff7b72"),
];

const STYLE: &str = "\
*{box-sizing:border-box}
body{margin:0;padding:32px 20px 64px;background:var(--page);color:var(--text);
font:15px/1.5 ui-sans-serif,system-ui,sans-serif}
main{max-width:1120px;margin:0 auto}
h1{font-size:26px;margin:0 0 4px}
h2{font-size:17px;margin:0;overflow-wrap:anywhere}
.sub{color:var(--ink);margin:0 0 20px}
.cards{display:flex;gap:12px;flex-wrap:wrap;margin:0 0 16px}
.cards div{background:var(--panel);border:1px solid var(--grid);border-radius:10px;padding:10px 16px;min-width:120px}
.cards b{display:block;font-size:22px}
.legend{display:flex;gap:18px;flex-wrap:wrap;color:var(--ink);font-size:13px;margin:0 0 20px;padding:0;list-style:none}
.legend i{display:inline-block;width:16px;height:10px;border-radius:3px;margin-right:6px}
section{background:var(--panel);border:1px solid var(--grid);border-radius:12px;padding:16px 18px;margin:0 0 20px}
section p{margin:2px 0 10px;color:var(--ink);font-size:13px}
svg{display:block;height:auto;max-width:100%}
table{border-collapse:collapse;width:100%;font-size:13px;margin-top:10px}
th,td{text-align:left;padding:4px 10px 4px 0;border-top:1px solid var(--grid);vertical-align:top}
th{color:var(--ink);font-weight:500}
td.n{font-variant-numeric:tabular-nums;white-space:nowrap}
details summary{cursor:pointer;color:var(--ink);font-size:13px;margin-top:8px}
";

/// The whole page.
pub(crate) fn page(source: &str, found: usize, studies: &[Study]) -> Result<String, Failure> {
    let mut out = String::new();
    let alarms: usize = studies.iter().map(|study| study.alarms.len()).sum();
    let alerts: usize = studies.iter().map(|study| study.alerts.len()).sum();
    let samples: usize = studies.iter().map(|study| study.samples.len()).sum();
    write!(
        out,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
        <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
        <meta name=\"color-scheme\" content=\"light dark\"><title>Insight: {0}</title><style>{1}{STYLE}</style></head>\
        <body><main><h1>Insight</h1><p class=\"sub\">{0}</p><div class=\"cards\">",
        escaped(source),
        looks()
    )?;
    let drawn = studies.len();
    let series = if drawn < found {
        format!("{drawn} of {found}")
    } else {
        drawn.to_string()
    };
    for (figure, what) in [
        (series, "series"),
        (samples.to_string(), "samples"),
        (alarms.to_string(), "alarms"),
        (alerts.to_string(), "alerts"),
    ] {
        write!(out, "<div><b>{figure}</b>{what}</div>")?;
    }
    out.push_str("</div><ul class=\"legend\">");
    let marks = [
        ("line", "measured"),
        ("expected", "expected, by the values before"),
        ("ahead", "forecast"),
        ("interval", "its interval"),
        ("alarm", "alarm; below, while an alert fires"),
    ];
    for (mark, what) in marks {
        write!(out, "<li><i style=\"background:var(--{mark})\"></i>{what}</li>")?;
    }
    out.push_str("</ul>");
    for study in studies {
        section(&mut out, study)?;
    }
    out.push_str("</main></body></html>\n");
    Ok(out)
}

/// Colours as variables, light by default, dark where the reader's system is.
fn looks() -> String {
    let mut light = String::from(":root{--page:#f5f6f9;--panel:#fff;--text:#181c24;");
    let mut dark = String::from("--page:#0f131a;--panel:#171c26;--text:#e8ebf2;");
    let mut marks = String::new();
    for (mark, name, in_light, in_dark) in LOOKS {
        let RGBColor(r, g, b) = mark;
        let hex = format!("#{r:02X}{g:02X}{b:02X}");
        light += &format!("--{name}:{in_light};");
        dark += &format!("--{name}:{in_dark};");
        marks += &format!("svg [fill=\"{hex}\"]{{fill:var(--{name})}}svg [stroke=\"{hex}\"]{{stroke:var(--{name})}}");
    }
    format!("{light}}}@media(prefers-color-scheme:dark){{:root{{{dark}}}}}{marks}")
}

fn section(out: &mut String, study: &Study) -> Result<(), Failure> {
    let refused = match study.refused {
        0 => String::new(),
        count => format!(", {count} rows that are no samples"),
    };
    write!(
        out,
        "<section><h2>{}</h2><p>{} samples, one in {:?}{refused}. Forecast at {} %: {}.</p>{}",
        escaped(&study.name),
        study.samples.len(),
        study.step,
        100.0 * study.level,
        escaped(&study.how),
        picture(study)?
    )?;
    let (lo, hi) = heights(study);
    let span = hi - lo;
    let (first, rest) = study.alarms.split_at(study.alarms.len().min(LISTED));
    if !first.is_empty() {
        rows(out, span, first)?;
    }
    if !rest.is_empty() {
        write!(out, "<details><summary>{} more alarms</summary>", rest.len())?;
        rows(out, span, rest)?;
        out.push_str("</details>");
    }
    out.push_str("</section>");
    Ok(())
}

fn rows(
    out: &mut String,
    span: f64,
    alarms: &[(skyloom::core::Sample, skyloom::analytics::detect::Verdict)],
) -> Result<(), Failure> {
    out.push_str("<table><tr><th>when</th><th>value</th><th>expected</th><th>score</th><th>why</th></tr>");
    for (sample, verdict) in alarms {
        write!(
            out,
            "<tr class=\"alarm\"><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{} to {}</td>\
            <td class=\"n\">{:.2}</td><td>{}</td></tr>",
            when(sample.at),
            short(sample.value, span),
            short(verdict.band.lo, span),
            short(verdict.band.hi, span),
            verdict.score,
            escaped(&verdict.to_string())
        )?;
    }
    out.push_str("</table>");
    Ok(())
}

fn when(at: Timestamp) -> String {
    at.to_string().replace('T', " ").trim_end_matches('Z').to_owned()
}

/// Safe between tags and in attributes.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

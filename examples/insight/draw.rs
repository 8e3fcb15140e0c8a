//! One series as a picture: the values with where they were expected, the alarms, the forecast with its interval, and below
//! it when alerts fired.
//!
//! Colours are marks here: the page gives each its look in light and in dark.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use skyloom::core::Timestamp;

use crate::study::{Fired, Study};

pub(crate) const WIDTH: u32 = 1080;
const CHART: u32 = 300;
const ROW: u32 = 24;
/// More points than pixels are drawn as the least and the greatest of each pixel.
const COLUMNS: usize = 900;
const TEXT: &str = "ui-sans-serif, system-ui, sans-serif";

pub(crate) const INK: RGBColor = RGBColor(0x11, 0x22, 0x01);
pub(crate) const GRID: RGBColor = RGBColor(0x11, 0x22, 0x02);
pub(crate) const LINE: RGBColor = RGBColor(0x11, 0x22, 0x03);
pub(crate) const EXPECTED: RGBColor = RGBColor(0x11, 0x22, 0x04);
pub(crate) const AHEAD: RGBColor = RGBColor(0x11, 0x22, 0x05);
pub(crate) const INTERVAL: RGBColor = RGBColor(0x11, 0x22, 0x06);
pub(crate) const ALARM: RGBColor = RGBColor(0x11, 0x22, 0x07);

type Drawn<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// An SVG of the whole series.
pub(crate) fn picture(study: &Study) -> Drawn<String> {
    let rules = rules(study);
    let rows = u32::try_from(rules.len()).unwrap_or(0);
    let height = CHART + if rows > 0 { rows * ROW + 8 } else { 0 };
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
        let (chart, strip) = area.split_vertically(CHART);
        let (from, to) = times(study);
        values(&chart, study, from..to).map_err(|error| format!("draw `{}`: {error}", study.name))?;
        if rows > 0 {
            alerts(&strip, study, &rules, (from, to)).map_err(|error| format!("draw `{}`: {error}", study.name))?;
        }
        area.present()?;
    }
    // It grows and shrinks with the page.
    let size = format!("width=\"{WIDTH}\" height=\"{height}\"");
    Ok(svg.replacen(&size, "width=\"100%\" role=\"img\"", 1))
}

#[expect(clippy::cast_precision_loss, reason = "seconds of a picture")]
fn seconds(at: Timestamp) -> f64 {
    at.as_micros() as f64 / 1e6
}

fn times(study: &Study) -> (f64, f64) {
    let all = study.samples.iter().map(|sample| seconds(sample.at));
    let all = all.chain(study.ahead.iter().map(|step| seconds(step.at)));
    let (from, to) = all.fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), at| {
        (lo.min(at), hi.max(at))
    });
    (from, if to > from { to } else { from + 1.0 })
}

/// From the least to the greatest of what is drawn, with a little room. Expected bands and intervals do not count beyond
/// half of that: they may be very wide while little is known.
pub(crate) fn heights(study: &Study) -> (f64, f64) {
    let ends = |(lo, hi): (f64, f64), value: f64| (lo.min(value), hi.max(value));
    let values = study.samples.iter().map(|sample| sample.value);
    let values = values.chain(study.ahead.iter().map(|step| step.point));
    let (lo, hi) = values.fold((f64::INFINITY, f64::NEG_INFINITY), ends);
    let room = if hi > lo { hi - lo } else { lo.abs().max(1.0) };
    let bands = study.ahead.iter().flat_map(|step| [step.lo, step.hi]);
    let (band_lo, band_hi) = bands.fold((lo, hi), ends);
    let lo = lo.min(band_lo.max(lo - room / 2.0));
    let hi = hi.max(band_hi.min(hi + room / 2.0));
    (lo - room * 0.06, hi + room * 0.06)
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
type Failed<'a> = DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>;

fn values<'a>(area: &Area<'a>, study: &Study, times: std::ops::Range<f64>) -> Result<(), Failed<'a>> {
    let (lo, hi) = heights(study);
    let mut chart = ChartBuilder::on(area)
        .margin_top(8)
        .margin_right(RIGHT)
        .set_label_area_size(LabelAreaPosition::Left, LEFT)
        .set_label_area_size(LabelAreaPosition::Bottom, 26)
        .build_cartesian_2d(times.clone(), lo..hi)?;
    let span = times.end - times.start;
    let label = (TEXT, 12).into_font().color(&INK);
    chart
        .configure_mesh()
        .disable_x_mesh()
        .bold_line_style(GRID)
        .light_line_style(TRANSPARENT)
        .axis_style(GRID)
        .x_labels(7)
        .y_labels(6)
        .x_label_formatter(&|at| date(*at, span))
        .y_label_formatter(&|value| short(*value, hi - lo))
        .label_style(label)
        .draw()?;
    let clamp = |value: f64| value.clamp(lo, hi);
    let expected: Vec<(f64, f64, f64)> = study
        .bands
        .iter()
        .map(|(at, b)| (seconds(*at), clamp(b.lo), clamp(b.hi)))
        .collect();
    let (low, high) = (
        thinned(expected.iter().map(|(at, lo, _)| (*at, *lo))),
        thinned(expected.iter().map(|(at, _, hi)| (*at, *hi))),
    );
    chart.draw_series(std::iter::once(Polygon::new(around(&low, &high), EXPECTED.filled())))?;
    let line = thinned(study.samples.iter().map(|sample| (seconds(sample.at), sample.value)));
    chart.draw_series(LineSeries::new(line, LINE.stroke_width(1)))?;
    let ahead = |pick: fn(&skyloom::analytics::forecast::ForecastStep) -> f64| {
        let points = study.ahead.iter().map(|step| (seconds(step.at), clamp(pick(step))));
        thinned(points)
    };
    chart.draw_series(std::iter::once(Polygon::new(
        around(&ahead(|step| step.lo), &ahead(|step| step.hi)),
        INTERVAL.filled(),
    )))?;
    chart.draw_series(LineSeries::new(ahead(|step| step.point), AHEAD.stroke_width(2)))?;
    if let Some(first) = study.ahead.first() {
        let now = seconds(first.at);
        chart.draw_series(LineSeries::new([(now, lo), (now, hi)], GRID.stroke_width(1)))?;
    }
    let spots = study
        .alarms
        .iter()
        .map(|(sample, _)| (seconds(sample.at), sample.value));
    chart.draw_series(spots.map(|spot| Circle::new(spot, 4, ALARM.filled())))?;
    Ok(())
}

const LEFT: u32 = 64;
const RIGHT: u32 = 40;

/// Bars of the times that each rule fired.
fn alerts<'a>(area: &Area<'a>, study: &Study, rules: &[&str], times: (f64, f64)) -> Result<(), Failed<'a>> {
    let width = f64::from(WIDTH - LEFT - RIGHT);
    let place = |at: f64| {
        let share = ((at - times.0) / (times.1 - times.0)).clamp(0.0, 1.0);
        #[expect(clippy::cast_possible_truncation, reason = "a pixel of the picture")]
        let pixel = (f64::from(LEFT) + share * width).round() as i32;
        pixel
    };
    let end = study.samples.last().map_or(times.1, |sample| seconds(sample.at));
    let anchor = Pos::new(HPos::Right, VPos::Center);
    let style = (TEXT, 12).into_font().color(&INK).pos(anchor);
    for (row, rule) in (0_i32..).zip(rules) {
        let top = row * i32::try_from(ROW).unwrap_or(0) + 6;
        let name: String = rule.chars().take(9).collect();
        area.draw(&Text::new(
            name,
            (i32::try_from(LEFT).unwrap_or(0) - 8, top + 6),
            style.clone(),
        ))?;
        let ground = [(place(times.0), top), (place(times.1), top + 12)];
        area.draw(&Rectangle::new(ground, GRID.filled()))?;
        for fired in study.alerts.iter().filter(|fired| fired.rule == **rule) {
            let from = place(seconds(fired.from));
            let until = place(fired.until.map_or(end, seconds)).max(from + 2);
            area.draw(&Rectangle::new([(from, top), (until, top + 12)], ALARM.filled()))?;
        }
    }
    Ok(())
}

fn rules(study: &Study) -> Vec<&str> {
    let mut rules: Vec<&str> = study.alerts.iter().map(|fired: &Fired| fired.rule.as_str()).collect();
    rules.sort_unstable();
    rules.dedup();
    rules
}

/// There and back: the outline of a band.
fn around(low: &[(f64, f64)], high: &[(f64, f64)]) -> Vec<(f64, f64)> {
    low.iter().chain(high.iter().rev()).copied().collect()
}

/// The least and the greatest of each column, in their order.
fn thinned(points: impl Iterator<Item = (f64, f64)>) -> Vec<(f64, f64)> {
    let points: Vec<(f64, f64)> = points.collect();
    let per_column = points.len().div_ceil(COLUMNS);
    if per_column <= 2 {
        return points;
    }
    let ends = |column: &[(f64, f64)]| {
        let least = column.iter().copied().min_by(|a, b| a.1.total_cmp(&b.1));
        let greatest = column.iter().copied().max_by(|a, b| a.1.total_cmp(&b.1));
        let mut ends: Vec<(f64, f64)> = least.into_iter().chain(greatest).collect();
        ends.sort_by(|a, b| a.0.total_cmp(&b.0));
        ends
    };
    points.chunks(per_column).flat_map(ends).collect()
}

/// A time on the axis, as finely as the span asks for.
fn date(at: f64, span: f64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "`as` saturates")]
    let shown = Timestamp::from_micros((at * 1e6) as i64).to_string();
    let (day, clock) = shown.split_once('T').unwrap_or((&shown, ""));
    let clock = clock.trim_end_matches('Z');
    if span > 6.0 * 86_400.0 {
        day.to_owned()
    } else if span > 3_600.0 {
        format!(
            "{} {}",
            day.get(5..).unwrap_or_default(),
            clock.get(..5).unwrap_or(clock)
        )
    } else {
        clock.get(..8).unwrap_or(clock).to_owned()
    }
}

/// A value with a prefix, and as many digits as tell apart what is a twentieth of `span` apart.
pub(crate) fn short(value: f64, span: f64) -> String {
    let units = [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, "")];
    let (unit, prefix) = units
        .into_iter()
        .find(|(unit, _)| value.abs() >= *unit)
        .unwrap_or((1.0, ""));
    let fine = (span.abs() / unit / 20.0).max(1e-9);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 9")]
    let digits = (-fine.log10()).ceil().clamp(0.0, 9.0) as usize;
    format!("{:.digits$}{prefix}", value / unit)
}

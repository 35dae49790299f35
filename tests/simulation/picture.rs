//! Lines over seconds, as SVG.

use std::fmt::Write;
use std::path::Path;

const WIDTH: f64 = 800.0;
const HEIGHT: f64 = 320.0;
const LEFT: f64 = 56.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 64.0;
const BOTTOM: f64 = 40.0;

/// A stretch of time with a name, in seconds.
pub struct Stretch {
    name: &'static str,
    from: usize,
    to: usize,
}

impl From<(&'static str, usize, usize)> for Stretch {
    fn from((name, from, to): (&'static str, usize, usize)) -> Self {
        Stretch { name, from, to }
    }
}

/// A value for each second.
pub struct Line<'v> {
    name: &'static str,
    color: &'static str,
    values: &'v [u32],
}

impl<'v> Line<'v> {
    pub fn of(name: &'static str, color: &'static str, values: &'v [u32]) -> Self {
        Line { name, color, values }
    }
}

/// Writes a picture of the first `seconds`.
pub fn draw(file: &Path, title: &str, seconds: usize, stretches: &[Stretch], lines: &[Line<'_>]) {
    let most = lines.iter().flat_map(|line| line.values.iter().take(seconds)).max().copied().unwrap_or(1);
    let (step, top) = scale(most + most / 20);
    let x = |second: usize| LEFT + (WIDTH - LEFT - RIGHT) * second as f64 / seconds as f64;
    let y = |value: u32| HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * f64::from(value) / f64::from(top);
    let (base, ceiling) = (y(0), y(top));
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n<text x=\"{LEFT}\" y=\"20\" font-size=\"15\">{title}</text>\n"
    );
    let mut put = |element: String| svg.push_str(&(element + "\n"));
    for (at, Stretch { name, from, to }) in stretches.iter().enumerate() {
        let (left, width, fill) = (x(*from), x(*to) - x(*from), ["#eee", "#f7f3e3"][at % 2]);
        put(format!(
            r#"<rect x="{left:.1}" y="{ceiling}" width="{width:.1}" height="{:.1}" fill="{fill}"/>"#,
            base - ceiling
        ));
        put(format!(r##"<text x="{:.1}" y="{}" fill="#666">{name}</text>"##, left + 4.0, ceiling + 14.0));
    }
    for value in (0..=top).step_by(step as usize) {
        let at = y(value);
        put(format!(r##"<path d="M{LEFT} {at:.1}H{}" stroke="#ddd"/>"##, WIDTH - RIGHT));
        put(format!(r#"<text x="{}" y="{:.1}" text-anchor="end">{value}</text>"#, LEFT - 6.0, at + 4.0));
    }
    for second in (0..=seconds).step_by(if seconds > 300 { 60 } else { 30 }) {
        put(format!(r#"<text x="{:.1}" y="{}" text-anchor="middle">{second} s</text>"#, x(second), HEIGHT - 20.0));
    }
    let mut right = LEFT;
    for Line { name, color, values } in lines {
        let mut points = String::new();
        for (second, value) in values.iter().take(seconds).enumerate() {
            let _ = write!(points, "{:.0},{:.0} ", x(second), y(*value));
        }
        put(format!(r#"<polyline fill="none" stroke="{color}" stroke-width="1.5" points="{}"/>"#, points.trim_end()));
        put(format!(r#"<path d="M{right} 42h18" stroke="{color}" stroke-width="3"/>"#));
        put(format!(r#"<text x="{}" y="46">{name}</text>"#, right + 24.0));
        right += 48.0 + 6.6 * name.len() as f64;
    }
    svg.push_str("</svg>\n");
    std::fs::write(file, svg).expect("a picture");
}

/// How far the lines of the grid are apart, and the highest: four to eight of them.
fn scale(most: u32) -> (u32, u32) {
    let steps = (0..9).flat_map(|power| [1, 2, 5].map(|digit| digit * 10_u32.pow(power)));
    let step = steps.into_iter().find(|step| most.div_ceil(*step) <= 8).unwrap_or(most.max(1));
    (step, most.div_ceil(step).max(1) * step)
}

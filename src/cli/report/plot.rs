//! Plots as SVG that takes its colours and its size from the page. The words are HTML, so that they stay readable on a phone.

use std::fmt::Write;

use super::escape::escaped;
use super::show::{count, ms, percent, time};
use super::summary::{Figures, Piece, Summary};

/// How wide a plot is, in units of its own; it is 100 high.
const WIDTH: f64 = 1000.0;

/// All plots that the calls give.
pub fn plots(summary: &Summary) -> String {
    let pieces = summary.timeline.as_slice();
    let mut html = String::new();
    if pieces.len() > 1 {
        let width = span(summary.timeline_seconds);
        html += &bars(
            "Calls",
            &width,
            pieces,
            &[
                ("well", "answered", |it| it.answered),
                ("saved", "saved by failover", |it| it.saved),
                ("lost", "unanswered", |it| it.unanswered),
            ],
        );
        if summary.all.saved > 0 || summary.all.unanswered > 0 {
            html += &bars(
                "Calls that the first server did not answer",
                &width,
                pieces,
                &[("saved", "saved by failover", |it| it.saved), ("lost", "unanswered", |it| it.unanswered)],
            );
        }
        html += &lines(pieces, &width);
    }
    html + &dots(summary)
}

fn span(seconds: u64) -> String {
    match seconds.checked_div(60).unwrap_or_default() {
        minutes @ 0..=59 => format!("each {minutes} min"),
        minutes @ 60..=1439 => format!("each {} h", minutes.checked_div(60).unwrap_or_default()),
        1440 => "each day".to_owned(),
        minutes => format!("each {} days", minutes.checked_div(1440).unwrap_or_default()),
    }
}

/// A number at which an axis may end.
fn round_up(most: f64) -> f64 {
    let magnitude = 10_f64.powf(most.max(1e-3).log10().floor());
    [1.0, 2.0, 4.0, 5.0, 10.0].into_iter().map(|step| step * magnitude).find(|end| *end >= most).unwrap_or(most)
}

/// A figure with its axes: `shapes` are drawn in [`WIDTH`] by 100.
fn framed(title: &str, about: &str, key: &[(&str, &str)], top: [String; 3], pieces: &[Piece], shapes: &str) -> String {
    let mut keys = String::new();
    for (class, words) in key {
        let _ = write!(keys, "<i class=\"{class}\"></i>{}", escaped(words));
    }
    let at = |place: usize| escaped(&time(pieces.get(place).map(|piece| piece.time.as_str()))).into_owned();
    let last = pieces.len().saturating_sub(1);
    let (first, middle, last) = (at(0), at(last >> 1), at(last));
    let [top, half, zero] = top.map(|label| escaped(&label).into_owned());
    format!(
        "<figure><figcaption><span><b>{title}</b> {about}</span><span class=\"key\">{keys}</span></figcaption>\n<div class=\"plot\"><div class=\"y\"><span>{top}</span>\
         <span>{half}</span><span>{zero}</span></div><svg viewBox=\"0 0 {WIDTH} 100\" preserveAspectRatio=\"none\" role=\"img\" \
         aria-label=\"{title} from {first} to {last}\"><path class=\"grid\" d=\"M0 0H{WIDTH}M0 50H{WIDTH}\"/>{shapes}</svg><div class=\"x\">\
         <span>{first}</span><span>{middle}</span><span>{last}</span></div></div></figure>\n"
    )
}

type Series = (&'static str, &'static str, fn(&Piece) -> u64);

fn bars(title: &str, about: &str, pieces: &[Piece], series: &[Series]) -> String {
    let whole = |piece: &Piece| series.iter().map(|(_, _, of)| of(piece)).fold(0, u64::saturating_add);
    let top = round_up(pieces.iter().map(whole).max().unwrap_or_default() as f64).max(1.0);
    let step = WIDTH / pieces.len().max(1) as f64;
    let mut shapes = String::new();
    for (at, piece) in pieces.iter().enumerate().filter(|(_, piece)| whole(piece) > 0) {
        let (x, mut y) = (at as f64 * step, 100.0);
        let _ = write!(shapes, "<g><title>{}", escaped(&time(Some(&piece.time))));
        for (_, words, of) in series {
            let _ = write!(shapes, ", {} {}", count(of(piece)), escaped(words));
        }
        shapes.push_str("</title>");
        for (class, _, of) in series.iter().filter(|(_, _, of)| of(piece) > 0) {
            // What happened at all is to be seen.
            let height = (of(piece) as f64 / top * 100.0).max(1.0);
            y -= height;
            let _ = write!(
                shapes,
                "<rect class=\"{class}\" x=\"{x:.2}\" y=\"{:.2}\" width=\"{:.2}\" height=\"{height:.2}\"/>",
                y.max(0.0),
                step * 0.88
            );
        }
        shapes.push_str("</g>");
    }
    let key: Vec<_> = series.iter().map(|(class, words, _)| (*class, *words)).collect();
    let label = |share: f64| {
        if top * share == (top * share).floor() { count((top * share) as u64) } else { format!("{:.1}", top * share) }
    };
    framed(title, about, &key, [label(1.0), label(0.5), label(0.0)], pieces, &shapes)
}

fn lines(pieces: &[Piece], about: &str) -> String {
    let most = pieces.iter().filter_map(|piece| piece.p95_ms).fold(0.0, f64::max);
    if most == 0.0 {
        return String::new();
    }
    let top = round_up(most);
    let step = WIDTH / pieces.len().max(1) as f64;
    let mut shapes = String::new();
    for (class, of) in [("p95", (|it| it.p95_ms) as fn(&Piece) -> Option<f64>), ("p50", |it| it.p50_ms)] {
        let (mut path, mut begun) = (String::new(), false);
        for (at, piece) in pieces.iter().enumerate() {
            let Some(ms) = of(piece) else {
                begun = false;
                continue;
            };
            let (x, y) = ((at as f64 + 0.5) * step, 100.0 - ms / top * 100.0);
            // One that stands alone gets a width.
            let _ = if begun {
                write!(path, "L{x:.1} {y:.2}")
            } else {
                write!(path, "M{:.1} {y:.2}L{x:.1} {y:.2}", x - step * 0.3)
            };
            begun = true;
        }
        let _ = write!(shapes, "<path class=\"{class}\" d=\"{path}\"/>");
    }
    let label = |share: f64| ms(Some(top * share)).replace(".0 ms", " ms");
    framed(
        "Time of answered calls",
        about,
        &[("p50", "p50"), ("p95", "p95")],
        [label(1.0), label(0.5), label(0.0)],
        pieces,
        &shapes,
    )
}

/// Availability of each tool, with failover and without.
fn dots(summary: &Summary) -> String {
    let tools: Vec<(&Figures, f64, f64)> =
        summary.tools.iter().take(12).filter_map(|it| Some((it, it.availability?, it.without_failover?))).collect();
    let least = tools.iter().map(|(_, _, without)| *without).fold(1.0, f64::min);
    if least >= 1.0 {
        return String::new();
    }
    let steps = [1.0, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001];
    let missing = steps.into_iter().filter(|step| *step >= 1.0 - least).fold(1.0, f64::min);
    let place = |share: f64| (1.0 - (1.0 - share) / missing).clamp(0.0, 1.0) * 100.0;
    let mut rows = String::new();
    for (it, with, without) in &tools {
        let (a, b) = (place(*without), place(*with));
        let _ = write!(
            rows,
            "<span class=\"name\">{}</span><span>{} \u{2192} {}</span><svg role=\"img\" aria-label=\"{} without failover, {} with it\"><line class=\"axis\" x1=\"0\" \
             x2=\"100%\" y1=\"8\" y2=\"8\"/><line class=\"gain\" x1=\"{a:.2}%\" x2=\"{b:.2}%\" y1=\"8\" y2=\"8\"/><circle class=\"saved\" cx=\"{a:.2}%\" cy=\"8\" r=\"5\"/>\
             <circle class=\"well\" cx=\"{b:.2}%\" cy=\"8\" r=\"5\"/></svg>",
            escaped(&it.name),
            percent(Some(*without)),
            percent(Some(*with)),
            percent(Some(*without)),
            percent(Some(*with)),
        );
    }
    format!(
        "<figure><figcaption><span><b>Availability</b> from {} to 100 %</span><span class=\"key\"><i class=\"saved\"></i>without failover<i class=\"well\"></i>\
         with it</span></figcaption>\n<div class=\"dots\">{rows}</div></figure>\n",
        percent(Some(1.0 - missing)).replace(".00", "")
    )
}

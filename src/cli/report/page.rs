//! The report as a page: one file that loads nothing and runs nothing.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::escape::escaped;
use super::plot::plots;
use super::rows::{Table, tables};
use super::show::{count, ms, percent, time};
use super::summary::Summary;
use super::text::unreadable;

const STYLE: &str = include_str!("page.css");

/// The whole page.
pub fn page(summary: &Summary, made_s: u64) -> String {
    let all = &summary.all;
    let (from, to) = (time(summary.from.as_deref()), time(summary.to.as_deref()));
    let hash = STANDARD.encode(Sha256::digest(STYLE));
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
         style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n<title>Calls of tools, {from} to {to}</title>\n<style>{STYLE}</style></head>\n<body><main>\n\
         <h1>Calls of tools</h1>\n<p class=\"soft\">{from} to {to} UTC; made {} by dualpath report</p>\n<div class=\"facts\">",
        time(Some(&crate::credential::date::show(made_s))),
    );
    for (figure, words) in [
        (count(all.calls), "calls"),
        (percent(all.availability), "available"),
        (percent(all.without_failover), "without failover"),
        (count(all.saved), "saved by failover"),
        (count(all.unanswered), "unanswered"),
        (ms(all.times.p95_ms), "p95 of answered calls"),
    ] {
        let _ = write!(html, "<div><b>{}</b><span>{words}</span></div>", escaped(&figure));
    }
    html += "</div>\n";
    let notes: Vec<_> = summary.notes.iter().cloned().chain(unreadable(summary)).collect();
    if !notes.is_empty() {
        let notes = notes.iter().map(|note| format!("<p>{}</p>", escaped(note))).collect::<String>();
        let _ = writeln!(html, "<section class=\"note\">{notes}</section>");
    }
    html += &plots(summary);
    tables(summary).iter().for_each(|it| html += &table(it));
    let method = summary.method.iter().map(|line| format!("<li>{}</li>", escaped(line))).collect::<String>();
    let _ = writeln!(html, "<section><h2>How it is computed</h2><ul>{method}</ul></section>\n</main></body></html>");
    html
}

fn table(table: &Table) -> String {
    let mut html = format!(
        "<section><h2>{}</h2><p class=\"about\">{}</p><div class=\"table\"><table><thead><tr>",
        table.title,
        escaped(table.about)
    );
    let class = |at: usize| if at < table.names { " class=\"n\"" } else { "" };
    for (at, column) in table.columns.iter().enumerate() {
        let _ = write!(html, "<th scope=\"col\"{}>{column}</th>", class(at));
    }
    html += "</tr></thead><tbody>\n";
    for row in &table.rows {
        html += "<tr>";
        for (at, (cell, column)) in row.iter().zip(&table.columns).enumerate() {
            let text = escaped(cell);
            let _ = match at {
                0 => write!(html, "<th scope=\"row\" class=\"n\">{text}</th>"),
                _ if cell == "-" => write!(html, "<td class=\"none\" data-of=\"{column}\">-</td>"),
                _ => write!(html, "<td{} data-of=\"{column}\">{text}</td>", class(at)),
            };
        }
        html += "</tr>\n";
    }
    html + "</tbody></table></div></section>\n"
}

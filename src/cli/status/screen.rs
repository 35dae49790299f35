//! `dualpath status --watch` on a terminal: a page that is drawn anew. Whatever ends it, the terminal is as it was before:
//! a key, a signal, an error, a panic.

use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Paragraph, Row, Table, Wrap};
use ratatui::{DefaultTerminal, Frame};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::history::History;
use super::model::{Server, Status};
use super::reading::Reading;
use super::show;
use super::unusable;
use crate::cli::shown;
use crate::credential::date;

/// How long a key or a signal may wait.
const PATIENCE: Duration = Duration::from_millis(100);

/// How many changes of breakers are remembered.
const CHANGES: usize = 6;

/// What the page shows.
#[derive(Debug, Default)]
pub(super) struct Page {
    /// Whom it was asked of.
    pub admin: String,
    /// What was seen last.
    pub status: Status,
    /// When, on the monotonic clock.
    pub seen: Option<Instant>,
    /// Why there is nothing newer.
    pub trouble: Option<String>,
    /// The last changes of breakers, each with its time, the newest first.
    pub changes: Vec<String>,
}

/// Shows the page until somebody ends it.
pub(super) fn run(admin: &str, interval: Duration, first: Reading) -> ExitCode {
    match with_screen(|terminal| watch(terminal, admin, interval, first)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => unusable(&format!("the terminal cannot be drawn on: {error}")),
    }
}

/// Gives `draw` a terminal of its own. It is put back afterwards, however that ends; after a panic before its message is
/// printed.
pub(super) fn with_screen<T>(draw: impl FnOnce(&mut DefaultTerminal) -> io::Result<T>) -> io::Result<T> {
    struct Restored;
    impl Drop for Restored {
        fn drop(&mut self) {
            // The panic's hook has done so already.
            if !std::thread::panicking() {
                ratatui::restore();
            }
        }
    }
    // Also what was half set up is put back.
    let _restored = Restored;
    draw(&mut ratatui::try_init()?)
}

fn watch(terminal: &mut DefaultTerminal, admin: &str, interval: Duration, first: Reading) -> io::Result<()> {
    let ended = Arc::new(AtomicBool::new(false));
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&ended))?;
    }
    let readings = read_on(admin.to_owned(), interval);
    let mut history = History::default();
    let mut page = Page { admin: admin.to_owned(), ..Page::default() };
    page.take(&mut history, Ok(first));
    while !ended.load(Ordering::Relaxed) {
        for reading in readings.try_iter() {
            page.take(&mut history, reading);
        }
        terminal.draw(|frame| draw(frame, &page, Instant::now()))?;
        if event::poll(PATIENCE)? && is_end(&event::read()?) {
            break;
        }
    }
    Ok(())
}

/// Reads on a thread of its own: keys are heard also while Envoy does not answer.
fn read_on(admin: String, interval: Duration) -> Receiver<Result<Reading, String>> {
    let (sender, readings) = channel();
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(interval);
            if sender.send(Reading::take(&admin)).is_err() {
                break;
            }
        }
    });
    readings
}

fn is_end(event: &Event) -> bool {
    let Event::Key(KeyEvent { code, modifiers, kind: KeyEventKind::Press, .. }) = event else { return false };
    match code {
        KeyCode::Char('q') | KeyCode::Esc => true,
        // No signal: the terminal hands over every key.
        KeyCode::Char('c') => modifiers.contains(KeyModifiers::CONTROL),
        _ => false,
    }
}

impl Page {
    fn take(&mut self, history: &mut History, reading: Result<Reading, String>) {
        match reading {
            Ok(reading) => {
                self.seen = Some(reading.at);
                let (status, changes) = history.add(reading);
                for change in changes {
                    let text = format!("{}  {}", date::show(status.time_s), show::transition_says(&change));
                    self.changes.insert(0, text);
                }
                self.changes.truncate(CHANGES);
                (self.status, self.trouble) = (status, None);
            }
            Err(why) => self.trouble = Some(why),
        }
    }
}

/// Draws the page as it is at `now`.
pub(super) fn draw(frame: &mut Frame, page: &Page, now: Instant) {
    let status = &page.status;
    let rows = |count: usize| u16::try_from(count).unwrap_or(u16::MAX);
    let troubled: Vec<_> = status.servers.iter().filter(|server| !server.why.is_empty()).collect();
    let whys = if troubled.is_empty() { 0 } else { rows(troubled.len()).saturating_mul(2).saturating_add(1) };
    let parts = [
        Constraint::Length(2),
        Constraint::Length(rows(status.calls.len()).saturating_add(2)),
        Constraint::Length(rows(status.servers.len()).saturating_add(2)),
        Constraint::Length(whys),
        Constraint::Length(rows(status.credentials.len()).saturating_add(1)),
        Constraint::Min(2),
    ];
    let [head, calls, servers, why, credentials, changes] = Layout::vertical(parts).areas(frame.area());
    frame.render_widget(heading(page), head);
    frame.render_widget(calls_table(status), calls);
    frame.render_widget(servers_table(page, now), servers);
    let lines: Vec<_> = troubled.iter().map(|it| Line::raw(one_line(&format!("{}: {}", it.id, it.why)))).collect();
    frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: true }).block(block("why")), why);
    let lines = status.credentials.iter().map(|it| {
        let style = if it.severity == "none" { Style::new() } else { warning() };
        Line::styled(one_line(&format!("{}: {}", it.id, show::credential_says(it))), style)
    });
    frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()).block(block("tokens")), credentials);
    let lines: Vec<_> = page.changes.iter().map(|change| Line::raw(one_line(change))).collect();
    frame.render_widget(Paragraph::new(lines).block(block("breakers that have changed since")), changes);
}

fn heading(page: &Page) -> Paragraph<'_> {
    let switches = show::switches(&page.status);
    let first = Line::from(vec![
        Span::styled("dualpath ", Style::new().add_modifier(Modifier::BOLD)),
        Span::raw(one_line(&format!("{}  {}  ", page.admin, date::show(page.status.time_s)))),
        Span::styled(one_line(&switches), if switches == show::NOTHING_OFF { Style::new() } else { warning() }),
    ]);
    let second = match &page.trouble {
        Some(why) => Line::styled(one_line(why), alarm()),
        None => Line::styled("q ends", Style::new().add_modifier(Modifier::DIM)),
    };
    Paragraph::new(vec![first, second])
}

fn calls_table(status: &Status) -> Table<'_> {
    let rows = status.calls.iter().map(|calls| {
        let latency = calls.latency_ms.map(show::latency).unwrap_or_default();
        let ended = show::shares(&calls.shares).unwrap_or_default();
        Row::new([calls.mode.to_owned(), show::rate(calls.per_s), latency, one_line(&ended)])
    });
    let widths = [Constraint::Length(8), Constraint::Length(10), Constraint::Length(36), Constraint::Min(20)];
    let title = match status.window_s {
        Some(seconds) => format!("calls of the last {seconds:.0} s"),
        None => "calls".to_owned(),
    };
    let head = Row::new(["by", "calls", "took", "ended"]).style(Style::new().add_modifier(Modifier::DIM));
    Table::new(rows, widths).header(head).block(block(title))
}

fn servers_table(page: &Page, now: Instant) -> Table<'_> {
    let since = page.seen.map_or(Duration::ZERO, |seen| now.saturating_duration_since(seen));
    let mut rows = Vec::new();
    for server in &page.status.servers {
        // Between two readings the time goes on.
        let mut server = server.clone();
        let wait = server.probe_in_ms.map(|wait| (wait - since.as_secs_f64() * 1000.0).max(0.0));
        server.probe_in_ms = wait;
        let style = if server.state == "closed" { Style::new() } else { alarm() };
        rows.push(Row::new(cells(&server)).style(style));
    }
    let widths = [
        Constraint::Length(14),
        Constraint::Length(28),
        Constraint::Length(7),
        Constraint::Length(9),
        Constraint::Length(18),
        Constraint::Min(38),
    ];
    let head = ["server", "breaker", "health", "attempts", "failed", "pool"];
    Table::new(rows, widths)
        .header(Row::new(head).style(Style::new().add_modifier(Modifier::DIM)))
        .block(block("servers"))
}

fn cells(server: &Server) -> [String; 6] {
    let health = server.health.map(|health| format!("{health} %")).unwrap_or_default();
    let errors = show::shares(&server.errors).unwrap_or_default();
    let says = [server.id.clone(), show::breaker(server), health, show::rate(server.per_s), errors, show::pool(server)];
    says.map(|cell| one_line(&cell))
}

fn one_line(text: &str) -> String {
    shown::line(text).into_owned()
}

fn block<'b>(title: impl Into<Line<'b>>) -> Block<'b> {
    Block::new().borders(Borders::TOP).title(title)
}

/// What should be looked at. Never by colour alone: the words are in capitals.
fn warning() -> Style {
    Style::new().fg(Color::Yellow)
}

fn alarm() -> Style {
    Style::new().fg(Color::Red).add_modifier(Modifier::BOLD)
}

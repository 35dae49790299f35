//! The page on a terminal, and that it leaves the terminal as it found it.

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Termios, Winsize, tcgetattr, tcsetwinsize};

use super::super::screen::{Page, draw, with_screen};
use super::{ADMIN, statuses};

fn drawn(page: &Page, now: Instant) -> String {
    let mut terminal = Terminal::new(TestBackend::new(132, 30)).unwrap();
    terminal.draw(|frame| draw(frame, page, now)).unwrap();
    let line = |line: String| line.trim_end_matches(['"', '\n']).trim_start_matches('"').trim_end().to_owned();
    terminal
        .backend()
        .to_string()
        .lines()
        .map(|it| line(it.to_owned()))
        .collect::<Vec<_>>()
        .join("\n")
        .trim_end()
        .to_owned()
}

#[test]
fn the_page_shows_everything_and_its_countdown_goes_on_between_readings() {
    let (_, status) = statuses();
    let seen = Instant::now();
    let page = Page {
        admin: ADMIN.to_owned(),
        status,
        seen: Some(seen),
        trouble: None,
        changes: vec!["2026-11-18T10:26:50Z  primary: closed to open, 1 times".to_owned()],
    };
    let shown = drawn(&page, seen + Duration::from_millis(1100));
    let expected = include_str!("page.txt").trim_end();
    assert_eq!(shown, expected, "it shows\n{shown}");
}

#[test]
fn a_page_without_news_says_why_and_a_hostile_one_steers_nothing() {
    let (_, mut status) = statuses();
    status.servers[0].why = "\u{1b}]0;title\u{7}".to_owned();
    let trouble = Some("http://127.0.0.1:9901: connection refused\u{9b}".to_owned());
    let page = Page { admin: ADMIN.to_owned(), status, trouble, ..Page::default() };
    let shown = drawn(&page, Instant::now());
    assert!(shown.contains("connection refused\\u009b") && shown.contains("\\u001b]0;title\\u0007"), "{shown}");
    assert!(!shown.contains(['\u{1b}', '\u{7}', '\u{9b}']), "{shown}");
}

/// A terminal, and how its other end is set.
struct Pty(OwnedFd);

impl Pty {
    fn new() -> Self {
        let pty = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&pty).unwrap();
        unlockpt(&pty).unwrap();
        let _ = tcsetwinsize(&pty, Winsize { ws_row: 30, ws_col: 120, ws_xpixel: 0, ws_ypixel: 0 });
        Pty(pty)
    }

    fn end(&self) -> std::fs::File {
        let name = ptsname(&self.0, Vec::new()).unwrap();
        std::fs::File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap()
    }

    fn modes(&self) -> (u32, u32) {
        let Termios { input_modes, local_modes, .. } = tcgetattr(self.end()).unwrap();
        (input_modes.bits(), local_modes.bits())
    }
}

/// Runs the test of this name, in a process of its own, on a terminal; types `keys` once it has drawn. What the terminal got.
fn on_a_terminal(test: &str, keys: &[u8]) -> String {
    let pty = Pty::new();
    let (before, other) = (pty.modes(), pty.end());
    let stdio = || Stdio::from(other.try_clone().unwrap());
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--ignored", "--nocapture", "--test-threads=1"])
        .stdin(stdio())
        .stdout(stdio())
        .stderr(stdio())
        .spawn()
        .unwrap();
    let mut terminal = std::fs::File::from(pty.0.try_clone().unwrap());
    let reader = std::thread::spawn(move || {
        let (mut seen, mut piece) = (Vec::new(), [0; 4096]);
        // The other end is kept open here, so what ends the reading is a mark.
        while let Ok(count @ 1..) = terminal.read(&mut piece) {
            seen.extend_from_slice(&piece[..count]);
            if seen.ends_with(b"THE END") {
                break;
            }
        }
        String::from_utf8_lossy(&seen).into_owned()
    });
    std::fs::File::from(pty.0.try_clone().unwrap()).write_all(keys).unwrap();
    child.wait().unwrap();
    (&other).write_all(b"THE END").unwrap();
    let seen = reader.join().unwrap();
    assert_eq!(pty.modes(), before, "the terminal's modes: {seen}");
    seen
}

const ENTERED: &str = "\u{1b}[?1049h";
const LEFT: &str = "\u{1b}[?1049l";

#[test]
fn a_panic_leaves_the_terminal_as_it_was_and_its_message_readable() {
    let seen = on_a_terminal("cli::status::tests::page::panics_on_the_screen", b"");
    let (_, after) = seen.split_once(LEFT).unwrap_or_else(|| panic!("not left: {seen:?}"));
    assert!(seen.contains(ENTERED) && !after.contains(LEFT) && after.contains("drawn too far"), "{seen:?}");
}

#[test]
#[ignore = "run by the test above, on a terminal of its own"]
fn panics_on_the_screen() {
    let _ = with_screen(|_| -> std::io::Result<()> { panic!("drawn too far") });
}

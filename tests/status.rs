//! `dualpath status --watch` as a process: on a terminal, in a pipe, and without an Envoy.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcgetattr, tcsetwinsize};
use serde_json::Value;

const METRICS: &str = include_str!("../src/cli/status/tests/dead.prom");

/// Stands for an Envoy's admin interface, for as long as the test lasts. Its URL.
fn admin() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut head = [0; 4096];
            let count = stream.read(&mut head).unwrap_or_default();
            let body = match String::from_utf8_lossy(&head[..count]).split(' ').nth(1) {
                Some("/stats/prometheus") => METRICS,
                _ => r#"{"layers":[],"entries":{}}"#,
            };
            let length = body.len();
            let _ = write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
        }
    });
    url
}

fn watch(admin: &str, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dualpath"));
    command.args(["status", "--watch", "--interval", "100ms", "--admin", admin]).args(more);
    command
}

fn end(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_pipe_gets_a_line_each_time_and_a_program_an_object() {
    let admin = admin();
    let lines = |more: &[&str]| {
        let mut child = watch(&admin, more).stdout(Stdio::piped()).spawn().unwrap();
        let lines: Vec<String> =
            BufReader::new(child.stdout.take().unwrap()).lines().take(2).map(Result::unwrap).collect();
        // Nobody reads on, which ends it.
        let deadline = Instant::now() + Duration::from_secs(20);
        while child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < deadline, "it was to end");
            std::thread::sleep(Duration::from_millis(20));
        }
        lines
    };
    for line in lines(&[]) {
        assert!(line.contains("primary=open(3.1 s)") && !line.contains('\u{1b}'), "{line}");
    }
    for line in lines(&["--format", "json"]) {
        let tree: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(tree["servers"][0]["state"], "open");
    }
}

#[test]
fn without_an_envoy_it_says_so_and_ends_with_2() {
    let output = watch("http://127.0.0.1:1", &[]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("http://127.0.0.1:1/stats/prometheus: cannot be read"));
}

/// Watches on a terminal of its own until it has drawn, then has `interrupt` end it. What the terminal got; its modes are as before.
fn on_a_terminal(interrupt: impl FnOnce(&Child, &mut File)) -> String {
    let pty = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&pty).unwrap();
    unlockpt(&pty).unwrap();
    tcsetwinsize(&pty, Winsize { ws_row: 30, ws_col: 120, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
    let name = ptsname(&pty, Vec::new()).unwrap();
    let other = File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
    let modes = || {
        let found = tcgetattr(&other).unwrap();
        (found.input_modes, found.output_modes, found.local_modes)
    };
    let before = modes();
    let stdio = || Stdio::from(other.try_clone().unwrap());
    let mut child = watch(&admin(), &[]).stdin(stdio()).stdout(stdio()).stderr(stdio()).spawn().unwrap();
    let mut terminal = File::from(pty);
    let (mut seen, mut piece) = (Vec::new(), [0; 4096]);
    let has = |seen: &[u8], text: &str| String::from_utf8_lossy(seen).contains(text);
    while !has(&seen, "q ends") {
        let count = terminal.read(&mut piece).unwrap();
        seen.extend_from_slice(&piece[..count]);
    }
    assert_ne!(modes(), before, "while it lasts, keys are its own");
    interrupt(&child, &mut terminal);
    while !has(&seen, "\u{1b}[?1049l") {
        let count = terminal.read(&mut piece).unwrap();
        seen.extend_from_slice(&piece[..count]);
    }
    let deadline = Instant::now() + Duration::from_secs(20);
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None if Instant::now() > deadline => {
                end(child);
                panic!("it was to end");
            }
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    };
    assert_eq!(status.code(), Some(0));
    assert_eq!(modes(), before, "the terminal is as it was");
    String::from_utf8_lossy(&seen).into_owned()
}

#[test]
fn keys_and_signals_end_the_page_and_leave_the_terminal_as_it_was() {
    let type_in = |keys: &'static [u8]| move |_: &Child, terminal: &mut File| terminal.write_all(keys).unwrap();
    let send =
        |signal: Signal| move |child: &Child, _: &mut File| kill_process(Pid::from_child(child), signal).unwrap();
    for seen in [on_a_terminal(type_in(b"q")), on_a_terminal(type_in(b"\x03")), on_a_terminal(send(Signal::TERM))] {
        assert!(seen.contains("OPEN"), "{seen}");
    }
}

//! A process's own accounts, as the kernel keeps them under `/proc`.

use std::fs;
use std::io;
use std::time::Duration;

/// CPU time that all threads of a process have used so far, user and system, to the nanosecond.
///
/// # Errors
/// Where there is no `/proc`, i.e. on anything but Linux, or no such process.
pub fn cpu_time(id: u32) -> io::Result<Duration> {
    let mut total = Duration::ZERO;
    for thread in fs::read_dir(format!("/proc/{id}/task"))? {
        // `/proc/ID/schedstat` is about the first thread alone, and `stat` counts in ticks of 10 ms.
        let text = match fs::read_to_string(thread?.path().join("schedstat")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            text => text?,
        };
        let nanoseconds = text.split_whitespace().next().and_then(|field| field.parse().ok());
        total += Duration::from_nanos(nanoseconds.ok_or(io::ErrorKind::InvalidData)?);
    }
    Ok(total)
}

/// Memory of a process that is resident now, in bytes.
///
/// # Errors
/// As [`cpu_time`].
pub fn resident_memory(id: u32) -> io::Result<u64> {
    let text = fs::read_to_string(format!("/proc/{id}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: Option<u64> = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    Ok(kib.ok_or(io::ErrorKind::InvalidData)? * 1024)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn work_shows_in_the_account() {
        let id = std::process::id();
        let (before, start) = (cpu_time(id).unwrap(), std::time::Instant::now());
        while start.elapsed() < Duration::from_millis(100) {}
        // Less than passed, since a busy machine gives this thread only part of the time.
        assert!(cpu_time(id).unwrap() - before > Duration::from_millis(5));
    }

    #[test]
    fn this_process_is_resident() {
        assert!(resident_memory(std::process::id()).unwrap() > 100 * 1024);
    }
}

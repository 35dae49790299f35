//! What was attached stands between two comments, by which it is found again.

/// The line before.
pub(super) const BEGIN: &str = "# dualpath attach: begin (change the registry and attach again; --detach takes it out)";

/// The same behind a last line that has no line break: one was put there.
pub(super) const BEGIN_BEHIND: &str = "# dualpath attach: begin, behind a last line without a line break (change the registry and attach again; --detach takes it out)";

/// What the line before begins with.
const BEGINS: &str = "# dualpath attach: begin";

/// The line behind.
pub(super) const END: &str = "# dualpath attach: end";

/// The text without what was attached to it.
///
/// # Errors
/// The number of a line that begins or ends it without the other, from 1.
pub(super) fn detached(text: &str) -> Result<String, usize> {
    let (mut left, mut begun) = (String::new(), None);
    // Where there was no line break.
    let mut broken = None;
    for (number, line) in (1..).zip(text.split_inclusive('\n')) {
        let comment = line.trim();
        match begun {
            None if comment.starts_with(BEGINS) => {
                begun = Some(number);
                broken = broken.or((comment == BEGIN_BEHIND).then_some(left.len()));
            }
            None if comment == END => return Err(number),
            None => left.push_str(line),
            Some(_) if comment.starts_with(BEGINS) => return Err(number),
            Some(_) if comment == END => begun = None,
            Some(_) => {}
        }
    }
    // What somebody has written behind it since stays on lines of its own.
    if broken == Some(left.len()) {
        let bare = left.strip_suffix('\n').map(|left| left.strip_suffix('\r').unwrap_or(left).len());
        left.truncate(bare.unwrap_or(left.len()));
    }
    begun.map_or(Ok(left), Err)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_between_the_marks_is_taken_out_and_a_mark_without_the_other_is_told() {
        let text = format!("a: 1\n  {BEGIN}\n  b: 2\n  {END}\nc: 3");
        assert_eq!(detached(&text).as_deref(), Ok("a: 1\nc: 3"));
        let behind = format!("a: 1\n{BEGIN_BEHIND}\nb: 2\n{END}\n{BEGIN}\nc: 2\n{END}\n");
        assert_eq!(detached(&behind).as_deref(), Ok("a: 1"));
        assert_eq!(detached(&behind.replace('\n', "\r\n")).as_deref(), Ok("a: 1"));
        assert_eq!(detached(&format!("{behind}d: 1\n")).as_deref(), Ok("a: 1\nd: 1\n"), "written since");
        assert_eq!(detached(&format!("a\n{BEGIN}\n")), Err(2));
        assert_eq!(detached(&format!("a\n{END}\n")), Err(2));
        assert_eq!(detached(&format!("{BEGIN}\n{BEGIN}\n{END}\n")), Err(2));
    }
}

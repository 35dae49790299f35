//! How often a server has gone from well to failing, as its calls show it.

use super::judge::Sign;

/// So many attempts in a row that say the same change what a server is taken for; one alone says nothing.
const IN_A_ROW: u8 = 3;

/// What is known of a server.
#[derive(Debug, Default, Clone)]
pub struct Flaps {
    failing: bool,
    against: u8,
    /// How often it has gone from well to failing.
    pub times: u64,
    /// When it last did, in ms since 1970.
    pub last_ms: Option<u64>,
}

impl Flaps {
    /// An attempt has ended so.
    pub fn attempt(&mut self, sign: Sign, at_ms: Option<u64>) {
        let is_against = match sign {
            Sign::Well => self.failing,
            Sign::Failing => !self.failing,
            Sign::Neither => return,
        };
        self.against = if is_against { self.against.saturating_add(1) } else { 0 };
        if self.against >= IN_A_ROW {
            self.turn(!self.failing, at_ms);
        }
    }

    /// A call went past it because its breaker had opened.
    pub fn passed_by_open(&mut self, at_ms: Option<u64>) {
        if !self.failing {
            self.turn(true, at_ms);
        }
    }

    fn turn(&mut self, failing: bool, at_ms: Option<u64>) {
        (self.failing, self.against) = (failing, 0);
        if failing {
            self.times = self.times.saturating_add(1);
            self.last_ms = at_ms.or(self.last_ms);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_failure_is_no_flap_and_a_run_or_an_open_breaker_is_one() {
        let times = |story: &str| {
            let mut flaps = Flaps::default();
            for letter in story.chars() {
                match letter {
                    'w' => flaps.attempt(Sign::Well, Some(1)),
                    'f' => flaps.attempt(Sign::Failing, Some(1)),
                    'o' => flaps.passed_by_open(Some(1)),
                    _ => flaps.attempt(Sign::Neither, Some(1)),
                }
            }
            flaps.times
        };
        for (story, expected) in
            [("wwfww", 0), ("wfffwwwwfff", 2), ("fff-f", 1), ("wffooooo", 1), ("owowow", 1), ("owwwo", 2), ("ffwff", 0)]
        {
            assert_eq!(times(story), expected, "{story}");
        }
    }
}

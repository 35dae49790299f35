//! Questions, to somebody at a terminal.

use std::io::{self, BufRead, IsTerminal, Write};

use super::Failure;

/// Who is asked.
pub(super) struct Ask<'a> {
    /// Their answers; `None` where nobody is there.
    answers: Option<Box<dyn BufRead + 'a>>,
    /// Where questions go.
    questions: Box<dyn Write + 'a>,
}

impl<'a> Ask<'a> {
    /// The person at the terminal of this process, if there is one. Questions go to standard error, as the result may go to
    /// standard output.
    pub fn of_this_terminal() -> Self {
        let is_there = io::stdin().is_terminal() && io::stderr().is_terminal();
        let answers = is_there.then(|| Box::new(io::stdin().lock()) as Box<dyn BufRead>);
        Ask { answers, questions: Box::new(io::stderr()) }
    }

    /// Somebody who answers so.
    #[cfg(test)]
    pub fn of(answers: &'a str) -> Self {
        Ask { answers: Some(Box::new(answers.as_bytes())), questions: Box::new(io::sink()) }
    }

    /// Nobody.
    #[cfg(test)]
    pub fn nobody() -> Self {
        Ask { answers: None, questions: Box::new(io::sink()) }
    }

    /// Whether anybody is there.
    pub fn can_ask(&self) -> bool {
        self.answers.is_some()
    }

    /// Says something.
    pub fn say(&mut self, text: &str) {
        let _ = self.questions.write_all(text.as_bytes()).and_then(|()| self.questions.flush());
    }

    /// Asks for something that is needed.
    ///
    /// # Errors
    /// Nobody is there, or nothing was answered.
    pub fn line(&mut self, what: &str, usually: Option<&str>) -> Result<String, Failure> {
        let answer = self.answer(what, usually)?;
        match (answer.is_empty(), usually) {
            (false, _) => Ok(answer),
            (true, Some(usually)) => Ok(usually.to_owned()),
            (true, None) => Err(Failure::Unusable(format!("{what}: is needed"))),
        }
    }

    /// Asks for something that may be left out; where nobody is there, it is.
    ///
    /// # Errors
    /// The terminal can't be read.
    pub fn optional(&mut self, what: &str) -> Result<Option<String>, Failure> {
        if !self.can_ask() {
            return Ok(None);
        }
        Ok(Some(self.answer(what, Some("none"))?).filter(|answer| !answer.is_empty()))
    }

    fn answer(&mut self, what: &str, usually: Option<&str>) -> Result<String, Failure> {
        let usually = usually.map(|usually| format!(" [{usually}]")).unwrap_or_default();
        self.say(&format!("{what}{usually}: "));
        let Some(answers) = &mut self.answers else {
            return Err(Failure::Unusable(format!("{what}: is needed, and there is no terminal to ask at")));
        };
        let mut line = String::new();
        let read = answers.read_line(&mut line);
        read.map_err(|error| Failure::Unusable(format!("<stdin>: cannot be read: {error}")))?;
        Ok(line.trim().to_owned())
    }
}

//! What happened in a run, line by line. Of a run that is only judged nothing is written down.

/// A run's film.
#[derive(Debug, Default)]
pub struct Film {
    lines: Option<Vec<String>>,
    shown: Vec<String>,
}

impl Film {
    /// A film; one that is not recorded stays empty.
    pub fn new(recorded: bool) -> Self {
        Self { lines: recorded.then(Vec::new), shown: vec![] }
    }

    /// Whether anything is written down.
    pub fn is_recorded(&self) -> bool {
        self.lines.is_some()
    }

    /// Writes a line down.
    pub fn note(&mut self, line: String) {
        if let Some(lines) = &mut self.lines {
            lines.push(line);
        }
    }

    /// Writes down the state of everything, as far as it is other than the last time.
    pub fn state(&mut self, state: Vec<String>) {
        if let Some(lines) = &mut self.lines {
            let changed = state.iter().filter(|line| !self.shown.contains(line));
            lines.extend(changed.map(|line| format!("           | {line}")));
            self.shown = state;
        }
    }

    /// What is written down.
    pub fn into_lines(self) -> Vec<String> {
        self.lines.unwrap_or_default()
    }
}

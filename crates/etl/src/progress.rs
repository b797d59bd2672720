//! Shows how a run gets on: a bar a model on a terminal, plain lines elsewhere. Always on stderr.

use std::io::{IsTerminal, Write};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{HumanCount, ProgressBar, ProgressState, ProgressStyle};

use crate::report::ModelReport;

/// Is told how a run gets on.
pub trait Progress: Send + Sync {
    /// A model begins, the `number`-th (from 1) of `total`.
    fn model_started(&self, name: &str, number: usize, total: usize);
    /// The model under way has read this many rows so far.
    fn rows(&self, rows: u64);
    /// The model under way is done.
    fn model_finished(&self, report: &ModelReport);
    /// The run failed: whatever is on the screen is to be cleared for the error's text.
    fn failed(&self);
    /// This many checks begin.
    fn checks_started(&self, total: usize);
}

/// Bars on a terminal, lines elsewhere.
pub fn stderr() -> Box<dyn Progress> {
    if std::io::stderr().is_terminal() { Box::new(Bars::default()) } else { Box::new(Lines) }
}

/// Shows nothing.
#[derive(Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn model_started(&self, _name: &str, _number: usize, _total: usize) {}
    fn rows(&self, _rows: u64) {}
    fn model_finished(&self, _report: &ModelReport) {}
    fn failed(&self) {}
    fn checks_started(&self, _total: usize) {}
}

/// A line on stderr for each model that is done.
#[derive(Debug, Default)]
pub struct Lines;

impl Progress for Lines {
    fn model_started(&self, _name: &str, _number: usize, _total: usize) {}
    fn rows(&self, _rows: u64) {}
    fn model_finished(&self, report: &ModelReport) {
        // A closed stderr must not fail the run.
        let _ = writeln!(std::io::stderr(), "{}", summary(report));
    }
    fn failed(&self) {}
    fn checks_started(&self, _total: usize) {}
}

/// A bar for the model under way; it turns into a line when the model is done.
#[derive(Debug, Default)]
pub struct Bars(Mutex<Option<ProgressBar>>);

impl Bars {
    fn replace(&self, bar: Option<ProgressBar>) {
        let mut current = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(old) = std::mem::replace(&mut *current, bar) {
            old.finish_and_clear();
        }
    }

    fn bar(&self, prefix: String, message: String, rate: bool) -> ProgressBar {
        let colour = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let spinner = if colour { "{spinner:.cyan}" } else { "{spinner}" };
        let counter = if rate { " {human_pos} rows ({rate}/s)" } else { "" };
        let template = format!("{spinner} {{prefix}} {{msg}}{counter} {{elapsed}}");
        let style =
            ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_spinner());
        // Indicatif's own rate has four decimals.
        let style = style.with_key("rate", |state: &ProgressState, out: &mut dyn std::fmt::Write| {
            let _ = write!(out, "{}", HumanCount(state.per_sec().max(0.0) as u64));
        });
        let bar = ProgressBar::new_spinner().with_style(style).with_prefix(prefix).with_message(message);
        bar.enable_steady_tick(Duration::from_millis(100));
        self.replace(Some(bar.clone()));
        bar
    }
}

impl Progress for Bars {
    fn model_started(&self, name: &str, number: usize, total: usize) {
        self.bar(format!("[{number}/{total}]"), name.to_owned(), true);
    }

    fn rows(&self, rows: u64) {
        if let Some(bar) = &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            bar.set_position(rows);
        }
    }

    fn model_finished(&self, report: &ModelReport) {
        self.replace(None);
        Lines.model_finished(report);
    }

    fn failed(&self) {
        self.replace(None);
    }

    fn checks_started(&self, total: usize) {
        if total > 0 {
            self.bar(String::new(), format!("{total} checks"), false);
        }
    }
}

/// `public.fact_sales: 99,123 rows in 0.4 s (12 quarantined, 3 duplicates dropped)`.
pub fn summary(report: &ModelReport) -> String {
    let ModelReport { name, kind, loaded, quarantined, deduplicated, seconds, .. } = report;
    if *kind == "view" {
        return format!("{name}: view");
    }
    if *kind == "learned" {
        return format!("{name}: learned model, {seconds:.1} s");
    }
    let mut notes = Vec::new();
    if *quarantined > 0 {
        notes.push(format!("{} quarantined", grouped(*quarantined)));
    }
    if *deduplicated > 0 {
        notes.push(format!("{} duplicates dropped", grouped(*deduplicated)));
    }
    let notes = if notes.is_empty() { String::new() } else { format!(" ({})", notes.join(", ")) };
    format!("{name}: {} rows in {seconds:.1} s{notes}", grouped(*loaded))
}

fn grouped(number: u64) -> String {
    indicatif::HumanCount(number).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_one_line() {
        let mut report = ModelReport {
            name: "public.fact_sales".to_owned(),
            kind: "full",
            rows_in: 99_138,
            loaded: 99_123,
            quarantined: 12,
            deduplicated: 3,
            seconds: 0.42,
        };
        assert_eq!(
            summary(&report),
            "public.fact_sales: 99,123 rows in 0.4 s (12 quarantined, 3 duplicates dropped)"
        );
        report = ModelReport { kind: "learned", ..report };
        assert!(summary(&report).starts_with("public.fact_sales: learned model, "), "{}", summary(&report));
        report = ModelReport { kind: "view", ..report };
        assert_eq!(summary(&report), "public.fact_sales: view");
    }
}

//! One plain sentence that says what a verdict rests on.

use crate::checks::Weighed;
use crate::judge::{Judgement, Verdict};

/// Parts in the score below this are no reasons.
const WORTH_SAYING: f64 = 0.1;
/// Reasons in a sentence.
const MOST: usize = 3;

/// Says in one sentence what the verdict is and which findings carry it most.
#[must_use]
pub(crate) fn explain(verdict: Verdict, judgement: &Judgement) -> String {
    let percent = judgement.p_authentic.map_or("unknown".to_owned(), |p| format!("{:.0}%", 100.0 * p));
    match verdict {
        Verdict::UnableToVerify => {
            let why = judgement.quality_issues.join(", ");
            format!("The photo can't be judged ({why}): {}", judgement.advice.unwrap_or("take another one"))
        }
        Verdict::Authentic => {
            let reasons = reasons(judgement, |score| score > WORTH_SAYING);
            format!("Looks authentic ({percent}){reasons}")
        }
        Verdict::Replica => {
            let reasons = reasons(judgement, |score| score < -WORTH_SAYING);
            format!("Looks like a replica ({percent} authentic){reasons}")
        }
        Verdict::Inconclusive => {
            let reasons = reasons(judgement, |score| score.abs() > WORTH_SAYING);
            format!("The evidence is weak ({percent} authentic){reasons}; a person should look")
        }
    }
}

/// `: this, that and that`, the strongest first; empty without any.
fn reasons(judgement: &Judgement, tells: impl Fn(f64) -> bool) -> String {
    let mut found: Vec<&Weighed> = judgement
        .findings
        .iter()
        .filter(|one| tells(one.score) && !one.finding.note.is_empty() && one.finding.check != "start")
        .collect();
    found.sort_by(|a, b| b.score.abs().total_cmp(&a.score.abs()));
    let notes = found.iter().take(MOST).map(|one| one.finding.note.as_str()).collect::<Vec<_>>();
    match notes.as_slice() {
        [] => String::new(),
        [one] => format!(": {one}"),
        [first @ .., last] => format!(": {} and {last}", first.join(", ")),
    }
}

//! How good verdicts are on photos whose truth is known.

/// Area under the ROC curve: how often the authentic one of two photos has the higher score (Mann & Whitney 1947); ties
/// count half. NaN where one class is missing.
pub(crate) fn auc(scores: &[f64], authentic: &[bool]) -> f64 {
    let mut order: Vec<usize> = (0..scores.len().min(authentic.len())).collect();
    order.sort_by(|a, b| scores[*a].total_cmp(&scores[*b]));
    let (mut below, mut won, mut positives) = (0.0, 0.0, 0.0);
    let mut at = 0;
    while at < order.len() {
        let tied = order[at..].iter().take_while(|other| scores[**other] == scores[order[at]]).count();
        let ups = order[at..at + tied].iter().filter(|place| authentic[**place]).count() as f64;
        let downs = tied as f64 - ups;
        won += ups * (below + downs / 2.0);
        below += downs;
        positives += ups;
        at += tied;
    }
    won / (positives * below)
}

/// Expected calibration error: the gap between the mean probability and the share that is authentic in each of ten equal
/// bins, weighted by their photos (Naeini, Cooper & Hauskrecht 2015).
pub(crate) fn calibration_error(probabilities: &[f64], authentic: &[bool]) -> f64 {
    let mut bins = [(0.0, 0.0); 10];
    for (probability, authentic) in probabilities.iter().zip(authentic) {
        let bin = ((probability * 10.0) as usize).min(9);
        bins[bin].0 += probability;
        bins[bin].1 += f64::from(u8::from(*authentic));
    }
    bins.iter().map(|(sum, seen)| (sum - seen).abs()).sum::<f64>() / probabilities.len() as f64
}

/// Slope and start that make log odds of `logits` honest: Platt (1999), with the smoothed targets and Newton's method of
/// Lin, Lin & Weng (2007), "A note on Platt's probabilistic outputs for support vector machines", *Machine Learning* 68.
pub(crate) fn platt(logits: &[f64], authentic: &[bool]) -> (f64, f64) {
    let positives = authentic.iter().filter(|one| **one).count() as f64;
    let negatives = authentic.len() as f64 - positives;
    let (high, low) = ((positives + 1.0) / (positives + 2.0), 1.0 / (negatives + 2.0));
    let target = |authentic: bool| if authentic { high } else { low };
    let loss = |slope: f64, start: f64| -> f64 {
        let each = logits.iter().zip(authentic).map(|(logit, authentic)| {
            let odds = slope * logit + start;
            (-odds.abs()).exp().ln_1p() + odds.max(0.0) - target(*authentic) * odds
        });
        each.sum()
    };
    let (mut slope, mut start) = (1.0, 0.0);
    for _ in 0..100 {
        let (mut g, mut h, mut cross, mut gs, mut hs) = (0.0, 1e-12, 0.0, 0.0, 1e-12);
        for (logit, authentic) in logits.iter().zip(authentic) {
            let p = 1.0 / (1.0 + (-(slope * logit + start)).exp());
            let (rest, weight) = (p - target(*authentic), p * (1.0 - p));
            g += rest * logit;
            gs += rest;
            h += weight * logit * logit;
            cross += weight * logit;
            hs += weight;
        }
        if g.abs() < 1e-7 && gs.abs() < 1e-7 {
            break;
        }
        let size = h * hs - cross * cross;
        let (ds, db) = (-(hs * g - cross * gs) / size, -(h * gs - cross * g) / size);
        let (before, mut length) = (loss(slope, start), 1.0);
        while length > 1e-10 && loss(slope + length * ds, start + length * db) > before {
            length /= 2.0;
        }
        (slope, start) = (slope + length * ds, start + length * db);
    }
    (slope, start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_count_half() {
        assert_eq!(auc(&[0.1, 0.4, 0.35, 0.8], &[false, false, true, true]), 0.75);
        assert_eq!(auc(&[0.5, 0.5, 0.5], &[true, false, true]), 0.5);
        assert!(auc(&[0.5], &[true]).is_nan());
    }

    #[test]
    fn a_gap_is_an_error() {
        let error = calibration_error(&[0.95, 0.95, 0.05, 0.05], &[true, false, false, false]);
        assert!((error - 0.25).abs() < 1e-9, "{error}");
    }

    #[test]
    fn odds_that_are_twice_too_sure_are_halved() {
        // For each log odds, as many authentic of a hundred as half of them say.
        let (mut logits, mut authentic) = (Vec::new(), Vec::new());
        for logit in [-4.0, -2.0, 0.0, 2.0, 4.0_f64] {
            let share = 1.0 / (1.0 + (-(logit / 2.0 + 0.3)).exp());
            for place in 0..1_000 {
                logits.push(logit);
                authentic.push(f64::from(place) < 1_000.0 * share);
            }
        }
        let (slope, start) = platt(&logits, &authentic);
        assert!((slope - 0.5).abs() < 0.01 && (start - 0.3).abs() < 0.01, "{slope} {start}");
    }
}

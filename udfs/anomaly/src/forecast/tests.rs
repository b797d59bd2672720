use super::*;
use crate::random::Random;

/// A Poisson number.
fn poisson(random: &mut Random, mean: f64) -> f64 {
    let (mut left, mut count, mut part) = (random.unit(), 0.0, (-mean).exp());
    while left > part && count < 1_000.0 {
        left -= part;
        count += 1.0;
        part *= mean / count;
    }
    count
}

/// Three years of twenty series with weekdays, and a feast that doubles sales for a week.
fn panel() -> (Vec<Vec<f64>>, Vec<Holiday<'static>>) {
    let mut random = Random::new(1, 1);
    let holidays: Vec<Holiday<'_>> =
        (0..3).map(|year| Holiday { day: 300 + 365 * year, name: "Feast" }).collect();
    let mean = |day: usize| {
        let week = if day % 7 < 2 { 1.5 } else { 0.8 };
        let feast = holidays.iter().any(|holiday| (0..=7).contains(&(holiday.day - day as i64)));
        week * if feast { 2.5 } else { 1.0 }
    };
    let series = (0..20)
        .map(|index| (0..1_096).map(|day| poisson(&mut random, mean(day) * (1.0 + index as f64))).collect())
        .collect();
    (series, holidays)
}

fn points(all: &[Vec<f64>], holidays: &[Holiday<'_>], last: usize) -> Vec<Vec<Point>> {
    let total: Vec<f64> = (0..all[0].len()).map(|day| all.iter().map(|values| values[day]).sum()).collect();
    let profile = Profile::fit(&series(&total), holidays, last).unwrap();
    let mut sizes = SaleSizes::default();
    let expectations: Vec<Expectation> = all
        .iter()
        .map(|values| {
            let expectation = Expectation::fit(&series(values), &profile).unwrap();
            collect_sizes(&series(values), &expectation, &mut sizes);
            expectation
        })
        .collect();
    let mut surprises = PanelSurprises::new(&sizes);
    for (values, expectation) in all.iter().zip(&expectations) {
        collect_surprises(&series(values), expectation, &mut surprises);
    }
    let tails = surprises.finish();
    let mut scores = Vec::new();
    for (values, expectation) in all.iter().zip(&expectations) {
        collect_scores(&series(values), expectation, &tails, Side::Both, &mut scores);
    }
    let threshold = forecast_threshold(&mut scores, &tails, FALSE_DISCOVERIES);
    let judged = all.iter().zip(&expectations);
    judged
        .map(|(values, expectation)| {
            judge(&series(values), expectation, &tails, threshold, Side::Both).unwrap()
        })
        .collect()
}

#[test]
fn injected_days_are_found_and_the_feast_raises_no_alarm() {
    let (mut all, holidays) = panel();
    all[9][500] = 60.0;
    all[19][800] = 0.0;
    all[0][900] = 25.0;
    let points = points(&all, &holidays, 0);
    let found: Vec<(usize, usize)> = (0..20)
        .flat_map(|series| (0..1_096).map(move |day| (series, day)))
        .filter(|(series, day)| points[*series][*day].is_anomaly)
        .collect();
    for truth in [(9, 500), (19, 800), (0, 900)] {
        assert!(found.contains(&truth), "{truth:?} not in {found:?}");
    }
    assert!(found.len() <= 5, "{found:?}");
    let point = &points[19][800];
    assert_eq!(point.direction, Some(Direction::Low));
    assert!(point.value < point.lower && point.expected > 10.0);
}

#[test]
fn the_last_days_know_the_past_alone() {
    let (all, holidays) = panel();
    let before = points(&all, &holidays, 30);
    let mut changed = all.clone();
    changed[5][1_095] = 500.0;
    let after = points(&changed, &holidays, 30);
    for day in 0..1_095 {
        assert_eq!(before[5][day].expected.to_bits(), after[5][day].expected.to_bits(), "{day}");
    }
    assert!(after[5][1_095].is_anomaly);
}

fn series(values: &[f64]) -> Series<'_> {
    Series { first_day: 0, values, promotions: &[] }
}

#[test]
fn what_cannot_fall_as_far_is_judged_upwards_alone() {
    let mut random = Random::new(3, 3);
    let mut surprises = PanelSurprises::new(&SaleSizes::default());
    for mean in [2.0, 100.0] {
        (0..20_000).for_each(|_| surprises.add(mean, 1.0, poisson(&mut random, mean)));
    }
    let tails = surprises.finish();
    let sides = |mean, value| [Side::Both, Side::High].map(|side| score(&tails, (mean, 1.0), value, side));
    // No sale at all is usual where 2 are, so that 9 is no less surprising for looking both ways.
    let [both, high] = sides(2.0, 9.0);
    assert_eq!((both, high > 2.0), (high, true));
    let [both, high] = sides(100.0, 150.0);
    assert!((high - both - 2.0_f64.log10()).abs() < 1e-9, "{both} {high}");
    // The band is what raises no alarm.
    for (mean, value) in [(2.0, 4.0), (2.0, 30.0), (100.0, 110.0), (100.0, 200.0), (100.0, 20.0)] {
        let limit = 1e-3;
        let (low, high) = tails.bounds(mean, 1.0, chances(&tails, (mean, 1.0), limit, Side::Both));
        let is_out = value <= low || value >= high;
        assert_eq!(
            is_out,
            score(&tails, (mean, 1.0), value, Side::Both) >= 3.0,
            "{mean} {value} {low} {high}"
        );
    }
}

#[test]
fn hostile_series_give_errors() {
    let noisy: Vec<f64> = (0..100).map(|day| (day % 7) as f64 + 1.0).collect();
    let profile = Profile::fit(&series(&noisy), &[], 0).unwrap();
    for values in [vec![0.0; 100], vec![f64::NAN; 100], vec![-1.0; 100], vec![1.0; 99], vec![]] {
        assert!(Expectation::fit(&series(&values), &profile).is_err());
    }
    for values in [vec![1e300; 100], vec![f64::MAX; 100], noisy.iter().map(|value| value * 1e-300).collect()]
    {
        if let Ok(expectation) = Expectation::fit(&series(&values), &profile) {
            let mut surprises = PanelSurprises::new(&SaleSizes::default());
            collect_surprises(&series(&values), &expectation, &mut surprises);
            let tails = surprises.finish();
            assert!(judge(&series(&values), &expectation, &tails, 3.0, Side::Both).is_ok());
        }
    }
    assert!(Profile::fit(&series(&[1.0; 20]), &[], 0).is_err());
    let short = [Promotion { name: "sale", intensity: &[0.1] }];
    assert!(Profile::fit(&Series { promotions: &short, ..series(&noisy) }, &[], 0).is_err());
}

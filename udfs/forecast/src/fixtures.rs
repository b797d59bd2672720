//! Series that several tests use.

/// Monthly totals of international airline passengers, 1949 to 1960, in thousands (Box & Jenkins 1976, series G).
pub(crate) const AIR_PASSENGERS: [f64; 144] = [
    112., 118., 132., 129., 121., 135., 148., 148., 136., 119., 104., 118., 115., 126., 141., 135., 125.,
    149., 170., 170., 158., 133., 114., 140., 145., 150., 178., 163., 172., 178., 199., 199., 184., 162.,
    146., 166., 171., 180., 193., 181., 183., 218., 230., 242., 209., 191., 172., 194., 196., 196., 236.,
    235., 229., 243., 264., 272., 237., 211., 180., 201., 204., 188., 235., 227., 234., 264., 302., 293.,
    259., 229., 203., 229., 242., 233., 267., 269., 270., 315., 364., 347., 312., 274., 237., 278., 284.,
    277., 317., 313., 318., 374., 413., 405., 355., 306., 271., 306., 315., 301., 356., 348., 355., 422.,
    465., 467., 404., 347., 305., 336., 340., 318., 362., 348., 363., 435., 491., 505., 404., 359., 310.,
    337., 360., 342., 406., 396., 420., 472., 548., 559., 463., 407., 362., 405., 417., 391., 419., 461.,
    472., 535., 622., 606., 508., 461., 390., 432.,
];

/// Uniform numbers in [0, 1): x ← (1103515245 x + 12345) mod 2³¹, as the script that made the reference figures has it.
#[derive(Debug, Clone)]
pub(crate) struct Noise(pub(crate) u64);

impl Noise {
    pub(crate) fn uniform(&mut self) -> f64 {
        self.0 = (1_103_515_245 * self.0 + 12_345) % (1 << 31);
        self.0 as f64 / f64::from(1_u32 << 31)
    }

    /// A Poisson count, by multiplication of uniforms (Knuth).
    pub(crate) fn poisson(&mut self, mean: f64) -> f64 {
        let (limit, mut product, mut count) = ((-mean).exp(), self.uniform(), 0.0);
        while product > limit {
            product *= self.uniform();
            count += 1.0;
        }
        count
    }

    /// A negative binomial count with variance `mean + mean² / shape`, `shape` a whole number.
    pub(crate) fn negative_binomial(&mut self, mean: f64, shape: u32) -> f64 {
        let gamma: f64 = (0..shape).map(|_| -(1.0 - self.uniform()).ln()).sum();
        self.poisson(gamma * mean / f64::from(shape))
    }
}

/// Twenty weeks of daily values around 40 with a weekly pattern, uniform noise of ±4, and 6 more from week 11 on.
pub(crate) fn weekly() -> Vec<f64> {
    let pattern = [-12.0, -8.0, -3.0, 0.0, 4.0, 14.0, 5.0];
    let mut noise = Noise(42);
    (0..140)
        .map(|day| 40.0 + pattern[day % 7] + 8.0 * (noise.uniform() - 0.5) + if day < 70 { 0.0 } else { 6.0 })
        .collect()
}

/// Every number within a relative `tolerance` of what was expected.
pub(crate) fn assert_close(found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    for (found_one, expected_one) in found.iter().zip(expected) {
        let allowed = tolerance * expected_one.abs();
        assert!((found_one - expected_one).abs() <= allowed, "found {found:?}, expected {expected:?}");
    }
}

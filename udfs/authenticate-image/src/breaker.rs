//! Leaves a service alone that fails (circuit breaker: Nygard 2007, *Release It!*).

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Counts failures in a row. Safe under concurrency: no lock is held while a call is under way.
#[derive(Debug)]
pub(crate) struct Breaker {
    most: u32,
    cool_down: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    phase: Phase,
    /// Goes up with each change of phase: what a call from an earlier phase found out is old news.
    epoch: u64,
    last: String,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    /// All calls go through.
    Closed { failures: u32 },
    /// None does, until then.
    Open { until: Instant },
    /// One is under way that finds out whether the service works again.
    HalfOpen,
}

/// Why a call is not let through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// Until it may be tried again; zero while another call tries.
    pub(crate) wait: Duration,
    /// What the last failure was.
    pub(crate) last: String,
}

/// A call that was let through. Dropped without a word, as when a statement is cancelled, it has found out nothing.
#[derive(Debug)]
pub(crate) struct Permit<'a> {
    breaker: &'a Breaker,
    epoch: u64,
    told: bool,
}

impl Breaker {
    pub(crate) fn new(most: u32, cool_down: Duration) -> Self {
        Self { most, cool_down, state: Mutex::default() }
    }

    /// Failures in a row after which the service is left alone.
    pub(crate) fn most(&self) -> u32 {
        self.most
    }

    /// Lets a call through, or says how long not.
    pub(crate) fn admit(&self, now: Instant) -> Result<Permit<'_>, Refusal> {
        let mut state = self.lock();
        match state.phase {
            Phase::Closed { .. } => {}
            Phase::Open { until } if until <= now => state.enter(Phase::HalfOpen),
            Phase::Open { until } => {
                return Err(Refusal { wait: until.saturating_duration_since(now), last: state.last.clone() });
            }
            Phase::HalfOpen => return Err(Refusal { wait: Duration::ZERO, last: state.last.clone() }),
        }
        Ok(Permit { breaker: self, epoch: state.epoch, told: false })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code that can panic runs under the lock, so what is in there is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.epoch += 1;
    }
}

impl Default for Phase {
    fn default() -> Self {
        Self::Closed { failures: 0 }
    }
}

impl Permit<'_> {
    /// The service works.
    pub(crate) fn succeeded(mut self) {
        self.told = true;
        let mut state = self.breaker.lock();
        if state.epoch != self.epoch {
            return;
        }
        match &mut state.phase {
            Phase::Closed { failures } => *failures = 0,
            _ => state.enter(Phase::default()),
        }
    }

    /// It does not.
    pub(crate) fn failed(mut self, now: Instant, why: &str) {
        self.told = true;
        let mut state = self.breaker.lock();
        if state.epoch != self.epoch {
            return;
        }
        why.clone_into(&mut state.last);
        if let Phase::Closed { failures } = &mut state.phase {
            *failures += 1;
            if *failures < self.breaker.most {
                return;
            }
        }
        state.enter(Phase::Open { until: now + self.breaker.cool_down });
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        let mut state = self.breaker.lock();
        if !self.told && state.epoch == self.epoch && matches!(state.phase, Phase::HalfOpen) {
            // The next one may try at once.
            state.enter(Phase::Open { until: Instant::now() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COOL: Duration = Duration::from_secs(30);

    #[test]
    fn opens_half_opens_and_closes() {
        let breaker = Breaker::new(2, COOL);
        let start = Instant::now();
        breaker.admit(start).unwrap().failed(start, "one");
        breaker.admit(start).unwrap().succeeded();
        breaker.admit(start).unwrap().failed(start, "two");
        breaker.admit(start).unwrap().failed(start, "three");
        let refusal = breaker.admit(start).unwrap_err();
        assert_eq!(refusal, Refusal { wait: COOL, last: "three".to_owned() });
        assert!(breaker.admit(start + COOL - Duration::from_millis(1)).is_err());
        let later = start + COOL;
        let probe = breaker.admit(later).unwrap();
        assert_eq!(breaker.admit(later).unwrap_err().wait, Duration::ZERO, "one probe at a time");
        probe.failed(later, "four");
        assert_eq!(breaker.admit(later).unwrap_err().wait, COOL);
        breaker.admit(later + COOL).unwrap().succeeded();
        breaker.admit(later + COOL).unwrap().failed(later, "five");
        assert!(breaker.admit(later + COOL).is_ok(), "the count starts afresh");
    }

    #[test]
    fn old_news_change_nothing() {
        let breaker = Breaker::new(1, COOL);
        let start = Instant::now();
        let (slow, slower) = (breaker.admit(start).unwrap(), breaker.admit(start).unwrap());
        breaker.admit(start).unwrap().failed(start, "down");
        slow.succeeded();
        assert!(breaker.admit(start).is_err());
        let probe = breaker.admit(start + COOL).unwrap();
        slower.failed(start + COOL, "old");
        probe.succeeded();
        assert!(breaker.admit(start + COOL).is_ok());
    }

    #[test]
    fn a_cancelled_probe_makes_room_for_another() {
        let breaker = Breaker::new(1, Duration::from_millis(1));
        let start = Instant::now();
        breaker.admit(start).unwrap().failed(start, "down");
        let later = start + COOL;
        drop(breaker.admit(later).unwrap());
        assert!(breaker.admit(later).is_ok());
    }

    #[test]
    fn of_many_threads_one_tries() {
        let breaker = Breaker::new(1, COOL);
        let start = Instant::now();
        breaker.admit(start).unwrap().failed(start, "down");
        let admitted = std::thread::scope(|scope| {
            let one = || breaker.admit(start + COOL).ok().map(std::mem::forget).is_some();
            let threads: Vec<_> = (0..16).map(|_| scope.spawn(one)).collect();
            threads
                .into_iter()
                .filter(|_| true)
                .map(|thread| usize::from(thread.join().unwrap()))
                .sum::<usize>()
        });
        assert_eq!(admitted, 1);
    }
}

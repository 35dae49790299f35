//! A server with so many hands, at which calls queue, behind a limit: found by the shipped code, by Netflix's Gradient2, or
//! fixed.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::rc::Rc;

use dualpath::concurrency::{ConcurrencyPolicy, Limit, UnderWay};
use dualpath::failure::Class;

use crate::world::Random;

/// How the number of calls is limited.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Limiting {
    None,
    Fixed(u32),
    Gradient2,
    Shipped,
}

/// A stretch of time with so many calls a second, at a server with so many hands, whose work takes so long at the mean.
#[derive(Debug, Clone, Copy)]
pub struct Stretch {
    pub seconds: u64,
    pub rate: f64,
    pub hands: usize,
    pub work_ms: f64,
}

/// What was seen in the last half of a stretch.
#[derive(Debug, Default, Clone)]
pub struct Outcome {
    /// How long the server's answers took, ms, in order.
    pub took_ms: Vec<u64>,
    /// Calls that went elsewhere at once.
    pub elsewhere: usize,
    /// The limit at its end, in all workers together.
    pub limit: u32,
    seconds: u64,
}

impl Outcome {
    pub fn quantile(&self, share: f64) -> u64 {
        self.took_ms.get((self.took_ms.len() as f64 * share) as usize).copied().unwrap_or_default()
    }

    /// Calls that the server has answered a second.
    pub fn answered(&self) -> f64 {
        self.took_ms.len() as f64 / self.seconds as f64
    }

    pub fn elsewhere_share(&self) -> f64 {
        self.elsewhere as f64 / (self.elsewhere + self.took_ms.len()).max(1) as f64
    }
}

/// Netflix's `Gradient2Limit` with its defaults, behind its `WindowedLimit`.
struct Gradient2 {
    limit: f64,
    long: f64,
    windows: u32,
    since_ms: u64,
    answers: u32,
    took: f64,
    most: u32,
}

impl Gradient2 {
    fn answered(&mut self, took_ms: u64, under_way: u32, now_ms: u64) {
        if self.answers == 0 {
            self.since_ms = now_ms;
        }
        (self.answers, self.took) = (self.answers + 1, self.took + took_ms.max(1) as f64);
        self.most = self.most.max(under_way);
        if self.answers < 10 || now_ms - self.since_ms < 1_000 {
            return;
        }
        let short = self.took / f64::from(self.answers);
        let most = std::mem::take(&mut self.most);
        (self.answers, self.took) = (0, 0.0);
        // The average of up to 600 windows, of all of the first ten.
        self.windows += 1;
        let factor = if self.windows <= 10 { 1.0 / f64::from(self.windows) } else { 2.0 / 601.0 };
        self.long += (short - self.long) * factor;
        if self.long / short > 2.0 {
            self.long *= 0.95;
        }
        if f64::from(most) < self.limit / 2.0 {
            return;
        }
        let gradient = (1.5 * self.long / short).clamp(0.5, 1.0);
        self.limit = (self.limit * 0.8 + (self.limit * gradient + 4.0) * 0.2).clamp(4.0, 1_000.0);
    }
}

struct Worker {
    shipped: Rc<Limit>,
    gradient2: Gradient2,
    under_way: u32,
}

pub const POLICY: ConcurrencyPolicy = ConcurrencyPolicy { min: 2, max: 1_000, tolerance: 1_500 };

struct Call {
    worker: usize,
    came_us: u64,
    _under_way: UnderWay,
}

/// Plays the stretches one after the other, with the calls spread over so many workers.
pub fn run(limiting: Limiting, workers: usize, stretches: &[Stretch], seed: u64) -> Vec<Outcome> {
    let mut random = Random(seed);
    let new = || Worker {
        shipped: Rc::new(Limit::new(POLICY)),
        gradient2: Gradient2 { limit: 20.0, long: 0.0, windows: 0, since_ms: 0, answers: 0, took: 0.0, most: 0 },
        under_way: 0,
    };
    let mut of: Vec<Worker> = (0..workers).map(|_| new()).collect();
    let (mut queue, mut at_work, mut calls) = (VecDeque::new(), BinaryHeap::new(), Vec::<Option<Call>>::new());
    let (mut began_us, mut outcomes) = (0, Vec::new());
    for stretch in stretches {
        let (half_us, end_us) = (began_us + stretch.seconds * 500_000, began_us + stretch.seconds * 1_000_000);
        let mut outcome = Outcome { seconds: stretch.seconds / 2, ..Outcome::default() };
        let mut arrival_us = began_us + random.gap_us(stretch.rate);
        loop {
            let done = at_work.peek().map_or(u64::MAX, |Reverse((at, _))| *at);
            let now_us = done.min(arrival_us);
            if now_us >= end_us {
                break;
            }
            if done <= arrival_us {
                let Some(Reverse((_, number))) = at_work.pop() else { break };
                let number: usize = number;
                let call = calls[number].take().expect("a call");
                let took_ms = (now_us - call.came_us) / 1_000;
                let worker = &mut of[call.worker];
                worker.gradient2.answered(took_ms, worker.under_way, now_us / 1_000);
                worker.shipped.ended(Class::Success, took_ms, now_us / 1_000);
                worker.under_way -= 1;
                if now_us >= half_us {
                    outcome.took_ms.push(took_ms);
                }
            } else {
                arrival_us += random.gap_us(stretch.rate);
                let at = (random.draw() * workers as f64) as usize;
                let worker = &mut of[at];
                let is_full = match limiting {
                    Limiting::None => false,
                    Limiting::Fixed(limit) => worker.under_way as usize >= limit as usize / workers,
                    Limiting::Gradient2 => f64::from(worker.under_way) >= worker.gradient2.limit.floor(),
                    Limiting::Shipped => worker.shipped.is_full(),
                };
                if is_full {
                    outcome.elsewhere += usize::from(now_us >= half_us);
                    continue;
                }
                worker.under_way += 1;
                queue.push_back(calls.len());
                calls.push(Some(Call { worker: at, came_us: now_us, _under_way: worker.shipped.enter() }));
            }
            while at_work.len() < stretch.hands
                && let Some(number) = queue.pop_front()
            {
                // Half of the work is always the same, the rest as chance has it.
                let work_us = (stretch.work_ms * 500.0) as u64 + random.gap_us(2_000.0 / stretch.work_ms);
                at_work.push(Reverse((now_us + work_us, number)));
            }
        }
        began_us = end_us;
        outcome.took_ms.sort_unstable();
        outcome.limit = match limiting {
            Limiting::None => 0,
            Limiting::Fixed(limit) => limit,
            Limiting::Gradient2 => of.iter().map(|worker| worker.gradient2.limit as u32).sum(),
            Limiting::Shipped => of.iter().map(|worker| worker.shipped.limit()).sum(),
        };
        outcomes.push(outcome);
    }
    outcomes
}

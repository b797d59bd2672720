//! One month's sales log: the month's own sales in the order of time, and among them what comes in later than its sale:
//! returns, rows sent again, and rows of the month before that arrive late.

use std::collections::BTreeMap;
use std::io::{self, Write};

use crate::calendar::Month;
use crate::customers::Id;
use crate::demand::{Day, World};
use crate::dirt::{self, Flaw};
use crate::orders::{Order, RETURN_WITHIN};
use crate::random::{Purpose, Stream};
use crate::truth::Counts;

/// Late rows come from the last days of a month,
const LATE_FROM: u32 = 10;
/// and stand in the first days of the next.
const LATE_UNTIL: u32 = 12;
/// How many days before a month a row of its file can be dated.
const REACH: u32 =
    if LATE_FROM + LATE_UNTIL > RETURN_WITHIN { LATE_FROM + LATE_UNTIL } else { RETURN_WITHIN };
const BUFFER: usize = 64 * 1024;

const HEADER: &str = "order_id,sku,timestamp,qty,price,city,store_id,customer_id,channel\n";

/// A row as it stands in a file; a second copy has the flaw [`Flaw::Duplicate`], its original none.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    pub(crate) order: Order,
    pub(crate) flaw: Option<Flaw>,
}

/// What happens to a sale on its way, known before the sale itself.
struct Fate {
    flaw: Option<Flaw>,
    /// Day on which the row is written.
    written: u32,
    /// Day on which it is written again.
    again: Option<u32>,
    may_return: bool,
}

impl World {
    /// Writes the log of a month, header first; `progress` is told how many sale orders are done.
    ///
    /// Sales of the end of the month before are drawn once more when something of them belongs here, so that months
    /// need nothing from each other.
    pub(crate) fn write_month(
        &self,
        month: &Month,
        out: &mut dyn Write,
        progress: &mut dyn FnMut(u64),
    ) -> io::Result<Counts> {
        let mut log =
            Log { world: self, out, buffer: HEADER.into(), counts: Counts::new(), dates: Dates::new(self) };
        let mut waiting: BTreeMap<u32, Vec<Row>> = BTreeMap::new();
        for day in month.first.saturating_sub(REACH)..month.first {
            let day = self.day(day);
            for nth in 0..day.orders {
                let fate = self.fate(&day, nth);
                if fate.flaw == Some(Flaw::Late) || fate.again.is_some() || fate.may_return {
                    self.send(&day, nth, &fate, &mut |written, row| {
                        if (month.first..=month.last).contains(&written) {
                            waiting.entry(written).or_default().push(row);
                        }
                    });
                }
            }
        }
        for today in month.first..=month.last {
            let day = self.day(today);
            let mut arriving = waiting.remove(&today).unwrap_or_default();
            arriving.sort_by_key(|row| (row.order.second, row.order.id));
            let mut arriving = arriving.into_iter().peekable();
            for nth in 0..day.orders {
                let fate = self.fate(&day, nth);
                let mut now: [Option<Row>; 2] = [None, None];
                self.send(&day, nth, &fate, &mut |written, row| {
                    if written == today {
                        now[usize::from(now[0].is_some())] = Some(row);
                    } else if written <= month.last {
                        waiting.entry(written).or_default().push(row);
                    }
                });
                for row in now.into_iter().flatten() {
                    while let Some(earlier) =
                        arriving.next_if(|earlier| earlier.order.second <= row.order.second)
                    {
                        log.put(&earlier)?;
                    }
                    log.put(&row)?;
                }
            }
            arriving.try_for_each(|row| log.put(&row))?;
            progress(day.orders);
        }
        log.finish()
    }

    fn fate(&self, day: &Day, nth: u64) -> Fate {
        let number = day.first_order + nth;
        let (flaw, mut stream) = Flaw::of(self.seed, Purpose::Flaw, number);
        let mut fate = Fate { flaw, written: day.day, again: None, may_return: false };
        match flaw {
            None => fate.may_return = self.may_return(number),
            Some(Flaw::Duplicate) => {
                fate.flaw = None;
                fate.again = Some(self.again(day.day, &mut stream));
                fate.may_return = self.may_return(number);
            }
            Some(Flaw::Late) => match self.next_month(day.day) {
                Some(next) => {
                    fate.written = (next + stream.below(u64::from(LATE_UNTIL)) as u32).min(self.period.last())
                }
                None => fate.flaw = None,
            },
            Some(_) => {}
        }
        fate
    }

    /// Hands over the rows that a sale leaves in the logs, each with the day on which it is written.
    fn send(&self, day: &Day, nth: u64, fate: &Fate, to: &mut dyn FnMut(u32, Row)) {
        let sale = self.sale(day, nth);
        to(fate.written, Row { order: sale, flaw: fate.flaw });
        if let Some(again) = fate.again {
            to(again, Row { order: sale, flaw: Some(Flaw::Duplicate) });
        }
        if !fate.may_return {
            return;
        }
        if let Some(back) = self.returned(&sale) {
            let (flaw, mut stream) = Flaw::of(self.seed, Purpose::ReturnFlaw, sale.id);
            let flaw = flaw.filter(|flaw| *flaw != Flaw::Late);
            if flaw == Some(Flaw::Duplicate) {
                to(back.day, Row { order: back, flaw: None });
                to(self.again(back.day, &mut stream), Row { order: back, flaw });
            } else {
                to(back.day, Row { order: back, flaw });
            }
        }
    }

    /// Day on which a row is sent again: half of them at once.
    fn again(&self, day: u32, stream: &mut Stream) -> u32 {
        let later = day + stream.pick(&[0, 0, 0, 1, 2, 3]).copied().unwrap_or(0);
        if later > self.period.last() { day } else { later }
    }

    /// First day of the next month when it is near and within the period.
    fn next_month(&self, day: u32) -> Option<u32> {
        use chrono::Datelike;
        let date = self.period.date(i64::from(day));
        let ahead = (1..=LATE_FROM).find(|&ahead| {
            let later = self.period.date(i64::from(day + ahead));
            later.month() != date.month()
        })?;
        (day + ahead <= self.period.last()).then_some(day + ahead)
    }
}

/// Dates of the period as text, each formatted once.
struct Dates(Vec<[u8; 10]>);

impl Dates {
    fn new(world: &World) -> Dates {
        let text = |day: u32| {
            let date = world.period.date(i64::from(day)).to_string();
            let mut bytes = [b'0'; 10];
            bytes.iter_mut().zip(date.bytes()).for_each(|(to, from)| *to = from);
            bytes
        };
        Dates((0..world.period.days).map(text).collect())
    }

    fn of(&self, day: u32) -> &[u8] {
        self.0.get(day as usize).map_or(&[], |date| date.as_slice())
    }
}

/// Writes rows and counts them.
struct Log<'a> {
    world: &'a World,
    out: &'a mut dyn Write,
    buffer: Vec<u8>,
    counts: Counts,
    dates: Dates,
}

impl Log<'_> {
    fn put(&mut self, row: &Row) -> io::Result<()> {
        self.counts.add(row);
        self.format(row);
        if self.buffer.len() >= BUFFER {
            self.out.write_all(&self.buffer)?;
            self.buffer.clear();
        }
        Ok(())
    }

    fn finish(self) -> io::Result<Counts> {
        self.out.write_all(&self.buffer)?;
        Ok(self.counts)
    }

    fn format(&mut self, row: &Row) {
        let Row { order, flaw } = row;
        let (flaw, buffer) = (*flaw, &mut self.buffer);
        let mut digits = itoa::Buffer::new();
        // Details of a flaw are a function of the row, like everything else.
        let mut stream = Stream::new(self.world.seed, Purpose::Flaw, !order.id);
        buffer.extend_from_slice(digits.format(order.id).as_bytes());
        buffer.extend_from_slice(b",SKU");
        let sku = match flaw {
            Some(Flaw::UnknownSku) => 900_000 + stream.below(100_000) as u32,
            _ => order.sku + 1,
        };
        buffer.extend_from_slice(digits.format(sku).as_bytes());
        buffer.push(b',');
        let date = self.dates.of(order.day);
        match flaw {
            Some(Flaw::FutureDate) => {
                buffer.extend_from_slice(dirt::FUTURE_YEAR);
                // 2087 is no leap year.
                let day = date.get(4..).unwrap_or_default();
                buffer.extend_from_slice(if day == b"-02-29" { b"-02-28" } else { day });
            }
            _ => buffer.extend_from_slice(date),
        }
        let (hour, minute, second) = (order.second / 3600, order.second / 60 % 60, order.second % 60);
        for (before, number) in [(b' ', hour), (b':', minute), (b':', second)] {
            buffer.push(before);
            buffer.extend_from_slice(&two_digits(number));
        }
        buffer.push(b',');
        let bad = (flaw == Some(Flaw::BadNumber)).then(|| stream.chance(0.5));
        if bad == Some(true) {
            buffer.extend_from_slice(dirt::bad_quantity(&mut stream).as_bytes());
        } else {
            buffer.extend_from_slice(digits.format(order.qty).as_bytes());
        }
        buffer.push(b',');
        if bad == Some(false) {
            buffer.extend_from_slice(dirt::bad_price(&mut stream, order.price_paise).as_bytes());
        } else if flaw != Some(Flaw::MissingPrice) {
            buffer.extend_from_slice(digits.format(order.price_paise / 100).as_bytes());
            buffer.push(b'.');
            buffer.extend_from_slice(&two_digits((order.price_paise % 100) as u32));
        }
        buffer.push(b',');
        if let Some(store) = self.world.places.stores.get(order.store as usize) {
            let city = self.world.places.towns.get(store.town).map_or("", |town| town.name.as_str());
            buffer.extend_from_slice(city.as_bytes());
            buffer.push(b',');
            buffer.extend_from_slice(store.id.as_bytes());
        }
        // Writing to a Vec never fails.
        let _ = writeln!(buffer, ",{},{}", Id(order.customer), order.channel.name());
    }
}

fn two_digits(number: u32) -> [u8; 2] {
    [b'0' + (number / 10 % 10) as u8, b'0' + (number % 10) as u8]
}

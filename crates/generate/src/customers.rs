//! Who buys: registered customers with a home town, most of them rarely, some of them all the time.
//!
//! A customer is a number; everything about one is a function of it, so that millions need no memory. Within a town the
//! numbers ascend with the date of joining, which makes "who has joined by now" a range.

use std::io::{self, Write};

use chrono::NaiveDate;

use crate::calendar::Period;
use crate::places::Places;
use crate::random::{Purpose, Stream};

/// Share of the customers who had joined before the period began.
const EARLY: f64 = 0.3;
/// Over how many days before the period they had joined.
const EARLY_DAYS: f64 = 700.0;
/// Draws after which the last candidate is taken, however rarely that one buys.
const TRIES: u32 = 24;

const MEN: [&str; 44] = [
    "Senthil",
    "Karthik",
    "Murugan",
    "Arun",
    "Prabhu",
    "Suresh",
    "Ramesh",
    "Vijay",
    "Saravanan",
    "Kumaran",
    "Manikandan",
    "Rajesh",
    "Ganesan",
    "Balaji",
    "Dinesh",
    "Gokul",
    "Hari",
    "Ilango",
    "Jeeva",
    "Kathiravan",
    "Lokesh",
    "Mohan",
    "Naveen",
    "Palani",
    "Raghu",
    "Sathish",
    "Tamilselvan",
    "Udhay",
    "Velmurugan",
    "Yuvaraj",
    "Anbu",
    "Bharath",
    "Chezhian",
    "Deva",
    "Ezhil",
    "Iniyan",
    "Kabilan",
    "Mathivanan",
    "Nandha",
    "Parthiban",
    "Siva",
    "Thiru",
    "Vetri",
    "Imran",
];
const WOMEN: [&str; 36] = [
    "Meena",
    "Lakshmi",
    "Priya",
    "Kavitha",
    "Divya",
    "Revathi",
    "Anitha",
    "Deepa",
    "Gayathri",
    "Indira",
    "Janani",
    "Kalaivani",
    "Malar",
    "Nandhini",
    "Oviya",
    "Pavithra",
    "Radha",
    "Sangeetha",
    "Tamilarasi",
    "Uma",
    "Vasuki",
    "Yamuna",
    "Abirami",
    "Bhavani",
    "Chitra",
    "Eswari",
    "Fathima",
    "Harini",
    "Ilakkiya",
    "Jothi",
    "Keerthana",
    "Mythili",
    "Nithya",
    "Poongodi",
    "Selvi",
    "Thenmozhi",
];
const FATHERS: [&str; 28] = [
    "Subramanian",
    "Krishnan",
    "Raman",
    "Natarajan",
    "Govindan",
    "Arumugam",
    "Chidambaram",
    "Kandasamy",
    "Ramasamy",
    "Periyasamy",
    "Sundaram",
    "Venkatesan",
    "Shanmugam",
    "Rajendran",
    "Selvaraj",
    "Thangaraj",
    "Annamalai",
    "Balasubramanian",
    "Dhanapal",
    "Elangovan",
    "Jayaraman",
    "Kaliappan",
    "Loganathan",
    "Marimuthu",
    "Nagarajan",
    "Pandian",
    "Sekar",
    "Abdullah",
];
/// Given names in Tamil script, as some people enter them.
const TAMIL: [&str; 8] = ["செந்தில்", "மீனா", "கார்த்திக்", "லட்சுமி", "முருகன்", "கவிதா", "அருண்", "பிரியா"];

/// All customers, by town.
#[derive(Debug)]
pub(crate) struct Customers {
    seed: u64,
    days: u32,
    /// First number of each town, and the total.
    first: Vec<u64>,
}

impl Customers {
    /// Spreads `count` customers over the towns by what is sold there, at least two each.
    pub(crate) fn new(seed: u64, period: &Period, places: &Places, count: u64) -> Customers {
        let mut first = vec![0];
        let mut total = 0;
        for town in &places.towns {
            total += ((town.share * count as f64).round() as u64).max(2);
            first.push(total);
        }
        Customers { seed, days: period.days, first }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> u64 {
        self.first.last().copied().unwrap_or(0)
    }

    /// Who buys in a town on a day. Six in seven purchases are by the habit of the customer, who may have lost it again;
    /// the others are by someone who has just joined.
    pub(crate) fn pick(&self, town: usize, day: u32, stream: &mut Stream) -> u64 {
        let (start, size) = self.town(town);
        let early = early(size);
        let joined = early + (u128::from(size - early) * u128::from(day + 1) / u128::from(self.days)) as u64;
        let joined = joined.clamp(1, size.max(1));
        if stream.chance(0.15) {
            let recent = (-(1.0 - stream.unit()).ln() * 0.004 * size as f64) as u64;
            return start + joined - 1 - recent.min(joined - 1);
        }
        let mut candidate = 0;
        for _ in 0..TRIES {
            candidate = stream.below(joined);
            let mut loyalty = Stream::new(self.seed, Purpose::Loyalty, start + candidate);
            let keenness = loyalty.unit().powi(5);
            let bar = stream.unit();
            // Most are refused here, before the dear functions.
            if bar >= keenness {
                continue;
            }
            let stays = 40.0 * (1.0 - loyalty.unit()).powf(-1.6);
            let since = (i64::from(day) - self.joined(candidate, size)).max(0) as f64;
            if bar < keenness * (-since / stays).exp() {
                break;
            }
        }
        start + candidate
    }

    /// First number and number of customers of a town.
    fn town(&self, town: usize) -> (u64, u64) {
        match (self.first.get(town), self.first.get(town + 1)) {
            (Some(&start), Some(&end)) => (start, end - start),
            _ => (0, self.count()),
        }
    }

    /// Day on which the nth customer of a town of `size` joined; negative before the period.
    fn joined(&self, nth: u64, size: u64) -> i64 {
        let early = early(size);
        match nth.checked_sub(early) {
            Some(late) => {
                (u128::from(late) * u128::from(self.days) / u128::from((size - early).max(1))) as i64
            }
            None => -((EARLY_DAYS * (early - nth) as f64 / early as f64) as i64) - 1,
        }
    }

    /// Writes `customers.csv`. Names, addresses and numbers are made up: the mail domain is reserved for examples and no
    /// Indian number starts with 0.
    pub(crate) fn write(&self, period: &Period, places: &Places, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "customer_id,name,email,phone,city,created_at")?;
        for (town, place) in places.towns.iter().enumerate() {
            let (start, size) = self.town(town);
            for nth in 0..size {
                let number = start + nth;
                let person = Person::new(self.seed, number);
                let created: NaiveDate = period.date(self.joined(nth, size));
                let Person { name, email, phone } = person;
                writeln!(out, "{},{name},{email},{phone},{},{created}", Id(number), place.name)?;
            }
        }
        Ok(())
    }
}

/// Number of early joiners in a town, at least one.
fn early(size: u64) -> u64 {
    ((size as f64 * EARLY) as u64).clamp(1, size.max(1))
}

/// A customer's identifier as it stands in the files: `C0000001` and so on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Id(pub(crate) u64);

impl std::fmt::Display for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "C{:07}", self.0 + 1)
    }
}

struct Person {
    name: String,
    email: String,
    phone: String,
}

impl Person {
    fn new(seed: u64, number: u64) -> Person {
        let mut stream = Stream::new(seed, Purpose::Person, number);
        let given = if stream.chance(0.5) { stream.pick(&MEN) } else { stream.pick(&WOMEN) };
        let (given, father) =
            (given.copied().unwrap_or("Selvi"), stream.pick(&FATHERS).copied().unwrap_or("Raman"));
        let name = match stream.below(50) {
            0 => stream.pick(&TAMIL).copied().unwrap_or("மீனா").to_owned(),
            1..=24 => format!("{}. {given}", &father[..1]),
            _ => format!("{given} {father}"),
        };
        let email = format!("{}.{}{}@example.com", given.to_lowercase(), father.to_lowercase(), number + 1);
        let phone = format!("+910{:09}", stream.below(1_000_000_000));
        Person { name, email, phone }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Options;

    fn demo() -> (Customers, Period, Places) {
        let options = Options::new(100_000, 1096, 42, "x");
        let (period, places) = (Period::new(&options).unwrap(), Places::new(&options).unwrap());
        (Customers::new(42, &period, &places, 16_666), period, places)
    }

    #[test]
    fn nobody_buys_before_joining() {
        let (customers, period, _) = demo();
        let mut stream = Stream::new(1, Purpose::Order, 0);
        for day in (0..period.days).step_by(9) {
            for town in [0, 5, 30] {
                let (start, size) = customers.town(town);
                let nth = customers.pick(town, day, &mut stream) - start;
                assert!(nth < size);
                assert!(customers.joined(nth, size) <= i64::from(day));
            }
        }
    }

    #[test]
    fn frequency_has_a_heavy_tail() {
        let (customers, period, _) = demo();
        let mut stream = Stream::new(1, Purpose::Order, 1);
        let (start, size) = customers.town(0);
        let mut bought = vec![0_u32; size as usize];
        let orders = size * 6;
        for order in 0..orders {
            let day = (order * u64::from(period.days) / orders) as u32;
            bought[(customers.pick(0, day, &mut stream) - start) as usize] += 1;
        }
        bought.sort_unstable_by(|a, b| b.cmp(a));
        let top: u32 = bought[..size as usize / 10].iter().sum();
        let share = f64::from(top) / orders as f64;
        assert!((0.25..0.75).contains(&share), "top tenth buys {share}");
        assert!(bought[0] < 200, "nobody buys {} pairs", bought[0]);
        let once = bought.iter().filter(|&&times| (1..=2).contains(&times)).count();
        assert!(once as u64 > size / 6, "{once} of {size} bought once or twice");
    }

    #[test]
    fn the_file_lists_everyone_once() {
        let (customers, period, places) = demo();
        let mut out = Vec::new();
        customers.write(&period, &places, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.lines().count() as u64, customers.count() + 1);
        assert!(text.lines().all(|line| line.split(',').count() == 6));
        assert!(text.lines().nth(1).unwrap().starts_with("C0000001,"));
    }
}

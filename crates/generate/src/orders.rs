//! One line of a sales log: drawn for a sale, derived for a return. Either is a function of the order's number.

use crate::demand::{Day, World};
use crate::random::{Purpose, Stream};

/// Draws after which a shop gives up on products that are out of stock and sells SKU1.
const TRIES: u32 = 6;
/// Chance that an order placed online comes back.
pub(crate) const RETURNED_ONLINE: f64 = 0.085;
const RETURNED_IN_SHOP: f64 = 0.03;
/// A return comes at most so many days after the sale.
pub(crate) const RETURN_WITHIN: u32 = 14;

/// Orders by hour of the day, a weight each; at night there is only the web.
const HOURS: [f64; 24] = [
    0.3, 0.15, 0.05, 0.05, 0.05, 0.1, 0.3, 0.6, 1.0, 2.5, 5.5, 7.0, 7.5, 6.0, 4.5, 4.5, 5.5, 7.5, 10.0, 11.0,
    9.0, 5.0, 1.5, 0.6,
];

/// Where the order was placed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Channel {
    Store,
    Online,
    App,
}

impl Channel {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Channel::Store => "store",
            Channel::Online => "online",
            Channel::App => "app",
        }
    }
}

/// A sale, or a return with a negative quantity.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Order {
    pub(crate) id: u64,
    pub(crate) sku: u32,
    pub(crate) day: u32,
    /// Second of the day.
    pub(crate) second: u32,
    pub(crate) qty: i32,
    /// Unit price.
    pub(crate) price_paise: i64,
    pub(crate) store: u32,
    pub(crate) customer: u64,
    pub(crate) channel: Channel,
}

impl World {
    /// The nth sale of a day. Later ones of the day have later times.
    pub(crate) fn sale(&self, day: &Day, nth: u64) -> Order {
        let number = day.first_order + nth;
        let mut stream = Stream::new(self.seed, Purpose::Order, number);
        let (store, sku) = self.shelf(day, &mut stream);
        let second = second((nth as f64 + stream.unit()) / day.orders.max(1) as f64);
        let at_night = !(9 * 3600..22 * 3600).contains(&second);
        let channel = match stream.unit() {
            _ if at_night && stream.chance(0.5) => Channel::App,
            _ if at_night => Channel::Online,
            u if u < 0.45 * day.online => Channel::App,
            u if u < day.online => Channel::Online,
            _ => Channel::Store,
        };
        let town = self.places.stores.get(store).map_or(0, |store| store.town);
        let home =
            if stream.chance(0.04) { stream.below(self.places.towns.len() as u64) as usize } else { town };
        Order {
            id: self.id_base + 1 + number,
            sku: sku as u32,
            day: day.day,
            second,
            qty: quantity(&mut stream),
            price_paise: day.prices.get(sku).copied().unwrap_or(0),
            store: store as u32,
            customer: self.customers.pick(home, day.day, &mut stream),
            channel,
        }
    }

    /// The return of a sale, when it comes back within the period.
    pub(crate) fn returned(&self, sale: &Order) -> Option<Order> {
        let mut stream = self.return_stream(sale.id);
        let rate = if sale.channel == Channel::Store { RETURNED_IN_SHOP } else { RETURNED_ONLINE };
        if !stream.chance(rate) {
            return None;
        }
        let waited = 1 + (f64::from(RETURN_WITHIN) * stream.unit().powf(1.4)) as u32;
        let day = sale.day + waited.min(RETURN_WITHIN);
        let qty = if stream.chance(0.8) { -sale.qty } else { -1 };
        let second = 10 * 3600 + stream.below(11 * 3600) as u32;
        // Returns have the identifier of their sale with the leading 1 turned into a 9.
        let id = sale.id + 8 * self.id_base;
        (day <= self.period.last()).then_some(Order { id, day, second, qty, ..*sale })
    }

    /// True when a sale may come back: a cheap test that does without the sale itself.
    pub(crate) fn may_return(&self, number: u64) -> bool {
        self.return_stream(self.id_base + 1 + number).chance(RETURNED_ONLINE)
    }

    fn return_stream(&self, id: u64) -> Stream {
        Stream::new(self.seed, Purpose::Return, id)
    }

    /// A shop and a product that it has.
    fn shelf(&self, day: &Day, stream: &mut Stream) -> (usize, usize) {
        let mut bulk = stream.unit();
        for &(town, sku, share) in &day.bulk {
            if bulk < share {
                let in_town = |(_, store): &(usize, &crate::places::Store)| store.town == town;
                let store = self.places.stores.iter().enumerate().find(in_town);
                return (store.map_or(0, |(index, _)| index), sku);
            }
            bulk -= share;
        }
        let store = day.stores.draw(stream);
        let town = self.places.stores.get(store).map_or(0, |store| store.town);
        let products = &day.products[self.tier(town)];
        let sku = (0..TRIES).map(|_| products.draw(stream)).find(|&sku| !day.is_missing(town, sku));
        (store, sku.unwrap_or(0))
    }
}

fn quantity(stream: &mut Stream) -> i32 {
    match stream.below(1000) {
        0..880 => 1,
        880..968 => 2,
        968..990 => 3,
        _ => 4 + stream.below(7) as i32,
    }
}

/// Second of the day before which a share of the day's orders is placed.
fn second(share: f64) -> u32 {
    let total: f64 = HOURS.iter().sum();
    let mut left = share * total;
    for (hour, weight) in (0_u32..).zip(HOURS) {
        if left < weight {
            return hour * 3600 + ((left / weight * 3600.0) as u32).min(3599);
        }
        left -= weight;
    }
    86_399
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Options;

    #[test]
    fn seconds_ascend_through_the_day() {
        let seconds: Vec<u32> = (0..1000).map(|nth| second(f64::from(nth) / 1000.0)).collect();
        assert!(seconds.is_sorted());
        assert!(seconds[0] < 3600 && seconds[999] > 22 * 3600);
        assert_eq!(second(1.0), 86_399);
    }

    #[test]
    fn a_return_mirrors_its_sale() {
        let world = World::new(&Options::new(20_000, 100, 3, "x")).unwrap();
        let mut returns = 0;
        for day in (0..60).map(|day| world.day(day)) {
            for nth in 0..day.orders {
                let sale = world.sale(&day, nth);
                let Some(back) = world.returned(&sale) else { continue };
                returns += 1;
                assert!(world.may_return(day.first_order + nth));
                assert!(back.qty < 0 && -back.qty <= sale.qty && back.id != sale.id);
                assert!((1..=RETURN_WITHIN).contains(&(back.day - sale.day)));
                let same = |order: &Order| (order.sku, order.price_paise, order.store, order.customer);
                assert_eq!(same(&back), same(&sale));
            }
        }
        assert!(returns > 100);
    }

    #[test]
    fn empty_shelves_sell_nothing() {
        let world = World::new(&Options::new(50_000, 200, 3, "x")).unwrap();
        for day in (0..200).step_by(10).map(|day| world.day(day)) {
            for nth in 0..day.orders {
                let sale = world.sale(&day, nth);
                let town = world.places.stores[sale.store as usize].town;
                assert!(!day.is_missing(town, sale.sku as usize));
            }
        }
    }
}

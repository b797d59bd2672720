//! Where the shops stand: towns of Tamil Nadu from the reference file, the larger ones with several shops.

use std::collections::HashMap;

use crate::Error;
use crate::options::Options;
use crate::random::{Purpose, Stream};

const CITIES: &str = include_str!("../../../data/reference/tn_cities_geonames.csv");

/// Towns that can have a shop, largest markets first: GeoNames id, monsoon that hits it, and how many people buy there
/// where the reference file has another population than the town's own (the district's or the hinterland's).
/// Every name is unique in the reference file, so that it can be joined by name.
const TOWNS: [(u32, Zone, Option<u32>); 52] = [
    (1264527, Zone::NorthEast, None),          // Chennai
    (1273865, Zone::Dry, None),                // Coimbatore
    (1264521, Zone::Dry, None),                // Madurai
    (1254388, Zone::Dry, None),                // Tiruchirappalli
    (1254348, Zone::Dry, None),                // Tiruppur
    (1257629, Zone::Dry, None),                // Salem
    (1272013, Zone::Dry, None),                // Erode
    (1253286, Zone::Dry, None),                // Vellore
    (1254361, Zone::Dry, Some(473_637)),       // Tirunelveli
    (1278840, Zone::NorthEast, None),          // Ambattur
    (8629640, Zone::NorthEast, None),          // Thoothukudi
    (1278130, Zone::NorthEast, None),          // Avadi
    (1272543, Zone::Dry, None),                // Dindigul
    (1254649, Zone::NorthEast, None),          // Thanjavur
    (1255947, Zone::Dry, None),                // Sivakasi
    (1267648, Zone::Dry, None),                // Karur
    (1269934, Zone::Dry, None),                // Hosūr
    (1262204, Zone::SouthWest, None),          // Nāgercoil
    (1268159, Zone::NorthEast, None),          // Kanchipuram
    (1267885, Zone::Dry, None),                // Kāraikkudi
    (1261473, Zone::NorthEast, None),          // Neyveli
    (1255062, Zone::NorthEast, None),          // Tambaram
    (1273802, Zone::NorthEast, None),          // Cuddalore
    (1265683, Zone::NorthEast, None),          // Kumbakonam
    (1254327, Zone::Dry, None),                // Tiruvannamalai
    (1258916, Zone::Dry, None),                // Rajapalayam
    (1253993, Zone::SouthWest, Some(120_000)), // Ooty
    (1278815, Zone::Dry, None),                // Ambur
    (1262260, Zone::NorthEast, None),          // Nagapattinam
    (1253166, Zone::NorthEast, None),          // Villupuram
    (1265891, Zone::Dry, None),                // Kovilpatti
    (1259440, Zone::SouthWest, None),          // Pollachi
    (1263247, Zone::NorthEast, None),          // Mayiladuthurai
    (1265863, Zone::Dry, None),                // Krishnagiri
    (1254744, Zone::SouthWest, None),          // Thenkasi
    (1272847, Zone::Dry, None),                // Dharmapuri
    (1258740, Zone::NorthEast, None),          // Ramanathapuram
    (1274430, Zone::NorthEast, None),          // Chengalpattu
    (1253113, Zone::Dry, None),                // Virudunagar
    (1260671, Zone::Dry, None),                // Palani
    (1274256, Zone::NorthEast, None),          // Chidambaram
    (1254589, Zone::NorthEast, None),          // Thiruvarur
    (1254331, Zone::NorthEast, None),          // Tiruvallur
    (1253437, Zone::Dry, None),                // Vaniyambadi
    (1254385, Zone::Dry, None),                // Tiruchengode
    (1260387, Zone::Dry, None),                // Paramagudi
    (1270947, Zone::Dry, None),                // Gobichettipalayam
    (1259896, Zone::Dry, None),                // Perambalur
    (1273833, Zone::SouthWest, None),          // Coonoor
    (1258698, Zone::NorthEast, None),          // Rameswaram
    (1255953, Zone::Dry, None),                // Sivaganga
    (1267361, Zone::NorthEast, None),          // Kayalpattinam
];

/// A town is a metro from this many people on: dearer brands sell better.
const METRO: f64 = 850_000.0;

/// Which monsoon keeps a town's people at home.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Zone {
    /// October to December, from the Bay of Bengal.
    NorthEast,
    /// June to August, on the hills and in the far south.
    SouthWest,
    /// Hardly any rain that would keep people at home.
    Dry,
}

/// A town with shops.
#[derive(Debug, Clone)]
pub(crate) struct Town {
    /// Name as in the reference file.
    pub(crate) name: String,
    pub(crate) zone: Zone,
    pub(crate) metro: bool,
    /// Share of the state's sales.
    pub(crate) share: f64,
}

/// A shop.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    /// `S001` and so on.
    pub(crate) id: String,
    /// Index into [`Places::towns`].
    pub(crate) town: usize,
    /// Share of the state's sales.
    pub(crate) share: f64,
}

/// Every town and shop.
#[derive(Debug)]
pub(crate) struct Places {
    pub(crate) towns: Vec<Town>,
    pub(crate) stores: Vec<Store>,
}

impl Places {
    /// Chooses towns and shares the shops out among them: one each, the others where most is sold per shop.
    pub(crate) fn new(options: &Options) -> Result<Places, Error> {
        let reference = read_reference()?;
        let store_count = options.store_count() as usize;
        let town_count = (store_count * 4 / 5).clamp(30, TOWNS.len()).min(store_count);
        let mut towns = Vec::with_capacity(town_count);
        for (index, &(id, zone, people)) in TOWNS.iter().take(town_count).enumerate() {
            let missing = || Error::Reference(format!("no place with geonameid {id}"));
            let (name, population) = reference.get(&id).ok_or_else(missing)?;
            let people = people.map_or(*population, f64::from);
            let mut stream = Stream::new(options.seed, Purpose::Store, 10_000 + index as u64);
            let share = people.powf(0.75) * stream.range(0.85, 1.15);
            towns.push(Town { name: name.clone(), zone, metro: people >= METRO, share });
        }
        let total: f64 = towns.iter().map(|town| town.share).sum();
        towns.iter_mut().for_each(|town| town.share /= total);
        let stores = share_out(options.seed, &towns, store_count);
        Ok(Places { towns, stores })
    }
}

fn share_out(seed: u64, towns: &[Town], count: usize) -> Vec<Store> {
    let mut shops = vec![1_usize; towns.len()];
    for _ in towns.len()..count {
        let per_shop = |town: usize| towns[town].share / (shops[town] + 1) as f64;
        let best = (0..towns.len()).max_by(|&a, &b| per_shop(a).total_cmp(&per_shop(b)));
        if let Some(best) = best {
            shops[best] += 1;
        }
    }
    let mut stores = Vec::with_capacity(count);
    for (town, &shops) in shops.iter().enumerate() {
        let mut stream = Stream::new(seed, Purpose::Store, town as u64);
        let sizes: Vec<f64> = (0..shops).map(|_| stream.range(0.6, 1.4)).collect();
        let total: f64 = sizes.iter().sum();
        for size in sizes {
            let id = format!("S{:03}", stores.len() + 1);
            stores.push(Store { id, town, share: towns[town].share * size / total });
        }
    }
    stores
}

/// Name and population by GeoNames id.
fn read_reference() -> Result<HashMap<u32, (String, f64)>, Error> {
    let mut reader = csv::Reader::from_reader(CITIES.as_bytes());
    let mut places = HashMap::new();
    for row in reader.deserialize::<(u32, String, f64, f64, f64, String)>() {
        let (id, name, _, _, population, _) = row.map_err(|error| Error::Reference(error.to_string()))?;
        places.insert(id, (name, population));
    }
    Ok(places)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn towns_are_unique_in_the_reference() {
        let reference = read_reference().unwrap();
        for (id, ..) in TOWNS {
            let name = &reference[&id].0;
            assert_eq!(reference.values().filter(|(other, _)| other == name).count(), 1, "{name}");
        }
    }

    #[test]
    fn the_demo_has_shops_in_over_thirty_towns() {
        let places = Places::new(&Options::new(100_000, 1096, 42, "x")).unwrap();
        assert!(places.towns.len() >= 30 && places.stores.len() >= 40);
        assert_eq!(places.towns[0].name, "Chennai");
        let share: f64 = places.stores.iter().map(|store| store.share).sum();
        assert!((share - 1.0).abs() < 1e-9);
        assert!(places.stores.iter().filter(|store| store.town == 0).count() > 2);
        assert!(places.towns.iter().all(|town| town.share < 0.25), "no town outweighs the state");
    }

    #[test]
    fn few_stores_stand_in_few_towns() {
        let mut options = Options::new(100, 10, 1, "x");
        options.stores = Some(3);
        let places = Places::new(&options).unwrap();
        assert_eq!((places.towns.len(), places.stores.len()), (3, 3));
    }
}

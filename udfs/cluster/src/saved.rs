//! Centroids as bytes, and the clusters of a new run under the numbers of an earlier one.

use crate::assignment::assign;
use crate::error::ClusterError;
use crate::points::squared_distance;
use crate::prepare::Column;

/// First byte of the saved form. Another layout gets another number.
const VERSION: u8 = 1;

/// Limits that keep damaged bytes from asking for memory; no clustering has more.
const MOST_CLUSTERS: usize = 1_000;
const MOST_COLUMNS: usize = 1_000;

/// Centroids of a run together with the scales that make them comparable to those of another.
#[derive(Debug, Clone, PartialEq)]
pub struct SavedCentroids {
    /// The columns in their order; `feature` indices are those of that run.
    pub columns: Vec<Column>,
    /// Row-major, `clusters × columns`, scaled.
    pub centroids: Vec<f64>,
    /// Number of each cluster.
    pub numbers: Vec<u32>,
    /// Label of each cluster.
    pub labels: Vec<String>,
}

impl SavedCentroids {
    /// Version byte 1, then little-endian: number of columns and of clusters (u32 each); for each column its name
    /// (u32 length and UTF-8), feature (u32), flags (one byte: 1 one-hot, 2 logarithm), centre and scale (f64); the
    /// centroids (f64); for each cluster its number (u32) and label (u32 length and UTF-8).
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        let number = |bytes: &mut Vec<u8>, value: usize| bytes.extend((value as u32).to_le_bytes());
        let text = |bytes: &mut Vec<u8>, text: &str| {
            number(bytes, text.len());
            bytes.extend(text.as_bytes());
        };
        number(&mut bytes, self.columns.len());
        number(&mut bytes, self.labels.len());
        for column in &self.columns {
            text(&mut bytes, &column.name);
            number(&mut bytes, column.feature);
            bytes.push(u8::from(column.one_hot) | u8::from(column.log) << 1);
            bytes.extend(column.centre.to_le_bytes());
            bytes.extend(column.scale.to_le_bytes());
        }
        self.centroids.iter().for_each(|value| bytes.extend(value.to_le_bytes()));
        for (cluster, label) in self.numbers.iter().zip(&self.labels) {
            number(&mut bytes, *cluster as usize);
            text(&mut bytes, label);
        }
        bytes
    }

    /// Reads what [`SavedCentroids::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`ClusterError::Saved`] for another version, for bytes that end early or go on, and for values that can't be.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ClusterError> {
        let mut reader = Reader { bytes };
        if reader.take::<1>()? != [VERSION] {
            return Err(ClusterError::Saved("unknown version"));
        }
        let (width, clusters) = (reader.number()?, reader.number()?);
        if width == 0 || width > MOST_COLUMNS || clusters > MOST_CLUSTERS {
            return Err(ClusterError::Saved("impossible size"));
        }
        let mut columns = Vec::new();
        for _ in 0..width {
            let name = reader.text()?;
            let feature = reader.number()?;
            let [flags] = reader.take::<1>()?;
            let (centre, scale) = (reader.double()?, reader.double()?);
            if flags > 3 || scale <= 0.0 {
                return Err(ClusterError::Saved("impossible column"));
            }
            columns.push(Column {
                name,
                feature,
                one_hot: flags & 1 == 1,
                log: flags & 2 == 2,
                centre,
                scale,
            });
        }
        let mut centroids = Vec::new();
        for _ in 0..width * clusters {
            centroids.push(reader.double()?);
        }
        let (mut numbers, mut labels) = (Vec::new(), Vec::new());
        for _ in 0..clusters {
            numbers.push(reader.number()? as u32);
            labels.push(reader.text()?);
        }
        if reader.bytes.is_empty() {
            Ok(SavedCentroids { columns, centroids, numbers, labels })
        } else {
            Err(ClusterError::Saved("bytes are left over"))
        }
    }

    /// The cluster numbers of an earlier run for the clusters of this one, or `None` where the runs share no column.
    ///
    /// Centroids of the earlier run are brought to this run's scales; a column that only one of the runs has does not
    /// count. Clusters are matched so that the squared distances add up to the least (Kuhn 1955). Of more clusters than
    /// before, those left over get the numbers after the largest in their order; of fewer, some numbers stay unused.
    pub fn match_previous(&self, previous: &SavedCentroids) -> Option<Vec<u32>> {
        self.costs(previous).map(|costs| self.matched(previous, &costs))
    }

    /// Takes over numbers as [`SavedCentroids::match_previous`] says, and labels: a cluster keeps its former label as long
    /// as its middle is nearer to its former self than to any other cluster of before; one that has moved further, or is
    /// new, is called by what it is now. False where the runs share no column.
    pub fn continue_from(&mut self, previous: &SavedCentroids) -> bool {
        let Some(costs) = self.costs(previous) else { return false };
        let numbers = self.matched(previous, &costs);
        let before = previous.labels.len();
        let kept: Vec<Option<&String>> = numbers
            .iter()
            .enumerate()
            .map(|(cluster, number)| {
                let former = previous.numbers.iter().position(|one| one == number)?;
                let costs = &costs[cluster * before..(cluster + 1) * before];
                let nearest = (0..before).min_by(|a, b| costs[*a].total_cmp(&costs[*b]))?;
                (nearest == former).then(|| &previous.labels[former])
            })
            .collect();
        let mut used: Vec<String> = kept.iter().flatten().map(|label| (*label).clone()).collect();
        for (label, kept) in self.labels.iter_mut().zip(&kept) {
            match kept {
                Some(kept) => label.clone_from(kept),
                None => {
                    let own = label.clone();
                    let mut copies = 1;
                    while used.contains(label) {
                        copies += 1;
                        *label = format!("{own} {copies}");
                    }
                    used.push(label.clone());
                }
            }
        }
        self.numbers = numbers;
        true
    }

    /// Squared distances from each cluster to each of an earlier run, row by row, in the columns that both have; `None`
    /// where there is none.
    fn costs(&self, previous: &SavedCentroids) -> Option<Vec<f64>> {
        // A name that occurs twice is matched in order.
        let mut used = vec![false; previous.columns.len()];
        let mut shared: Vec<(usize, usize)> = Vec::new();
        for (here, column) in self.columns.iter().enumerate() {
            let same = |there: &usize| !used[*there] && previous.columns[*there].name == column.name;
            if let Some(there) = (0..used.len()).find(same) {
                used[there] = true;
                shared.push((here, there));
            }
        }
        let (now, before) = (self.labels.len(), previous.labels.len());
        if shared.is_empty() {
            return None;
        }
        let mine = |cluster: usize| -> Vec<f64> {
            shared.iter().map(|(here, _)| self.centroids[cluster * self.columns.len() + here]).collect()
        };
        let theirs = |cluster: usize| -> Vec<f64> {
            let raw = |there: usize| {
                let scaled = previous.centroids[cluster * previous.columns.len() + there];
                previous.columns[there].backward(scaled)
            };
            shared.iter().map(|(here, there)| self.columns[*here].forward(raw(*there))).collect()
        };
        // Distances beyond this are equally hopeless, and their sums stay finite.
        let cost = |a: usize, b: usize| squared_distance(&mine(a), &theirs(b)).min(1e200);
        Some((0..now).flat_map(|a| (0..before).map(move |b| (a, b))).map(|(a, b)| cost(a, b)).collect())
    }

    /// The numbers that least costs give.
    fn matched(&self, previous: &SavedCentroids, costs: &[f64]) -> Vec<u32> {
        let (now, before) = (self.labels.len(), previous.labels.len());
        let mut numbers: Vec<Option<u32>> = vec![None; now];
        if now <= before {
            for (cluster, matched) in assign(costs, now, before).into_iter().enumerate() {
                numbers[cluster] = Some(previous.numbers[matched]);
            }
        } else {
            let turned: Vec<f64> =
                (0..before).flat_map(|b| (0..now).map(move |a| costs[a * before + b])).collect();
            for (matched, cluster) in assign(&turned, before, now).into_iter().enumerate() {
                numbers[cluster] = Some(previous.numbers[matched]);
            }
        }
        let mut next = previous.numbers.iter().max().map_or(0, |most| most.saturating_add(1));
        let fresh = numbers.into_iter().map(|number| {
            number.unwrap_or_else(|| {
                next = next.saturating_add(1);
                next - 1
            })
        });
        fresh.collect()
    }
}

/// What is left of the bytes.
#[derive(Debug)]
struct Reader<'a> {
    bytes: &'a [u8],
}

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], ClusterError> {
        let (first, rest) =
            self.bytes.split_first_chunk::<N>().ok_or(ClusterError::Saved("bytes end early"))?;
        self.bytes = rest;
        Ok(*first)
    }

    fn number(&mut self) -> Result<usize, ClusterError> {
        Ok(u32::from_le_bytes(self.take()?) as usize)
    }

    fn double(&mut self) -> Result<f64, ClusterError> {
        let value = f64::from_le_bytes(self.take()?);
        if value.is_finite() { Ok(value) } else { Err(ClusterError::Saved("a value is no number")) }
    }

    fn text(&mut self) -> Result<String, ClusterError> {
        let length = self.number()?;
        let (text, rest) =
            self.bytes.split_at_checked(length).ok_or(ClusterError::Saved("bytes end early"))?;
        self.bytes = rest;
        String::from_utf8(text.to_vec()).map_err(|_| ClusterError::Saved("a name is no text"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn saved(centre: f64, scale: f64, raw: &[f64]) -> SavedCentroids {
        let column = |name: &str| Column {
            name: name.into(),
            feature: 0,
            one_hot: false,
            log: name == "spend",
            centre,
            scale,
        };
        let columns = vec![column("spend"), column("visits")];
        let centroids = raw.iter().enumerate().map(|(at, value)| columns[at % 2].forward(*value)).collect();
        let labels: Vec<String> = (0..raw.len() / 2).map(|at| format!("segment {at}")).collect();
        SavedCentroids { columns, centroids, numbers: (0..labels.len() as u32).collect(), labels }
    }

    #[test]
    fn bytes_read_back_and_damage_is_noticed() {
        let saved = saved(1.5, 2.0, &[10.0, 1.0, 200.0, 7.0]);
        let bytes = saved.to_bytes();
        assert_eq!(SavedCentroids::from_bytes(&bytes).unwrap(), saved);
        for length in 0..bytes.len() {
            assert!(SavedCentroids::from_bytes(&bytes[..length]).is_err(), "{length}");
        }
        assert!(SavedCentroids::from_bytes(&[&bytes[..], &[0]].concat()).is_err());
        assert!(SavedCentroids::from_bytes(&[2, 0, 0, 0, 0]).is_err());
        assert!(SavedCentroids::from_bytes(&[1, 255, 255, 255, 255, 255, 255, 255, 255]).is_err());
    }

    #[test]
    fn clusters_keep_their_numbers_under_another_scale() {
        let before = saved(1.5, 2.0, &[10.0, 1.0, 200.0, 7.0, 3000.0, 30.0]);
        let after = saved(3.0, 0.7, &[2900.0, 28.0, 12.0, 1.2, 230.0, 8.0]);
        assert_eq!(after.match_previous(&before), Some(vec![2, 0, 1]));
        let more = saved(3.0, 0.7, &[2900.0, 28.0, 50.0, 3.0, 12.0, 1.2, 230.0, 8.0]);
        assert_eq!(more.match_previous(&before), Some(vec![2, 3, 0, 1]));
        let fewer = saved(3.0, 0.7, &[2900.0, 28.0, 12.0, 1.2]);
        assert_eq!(fewer.match_previous(&before), Some(vec![2, 0]));
        let mut other = before.clone();
        other.columns.iter_mut().for_each(|column| column.name.insert(0, 'x'));
        assert_eq!(after.match_previous(&other), None);
    }

    #[test]
    fn labels_stay_with_clusters_that_hardly_move() {
        let mut before = saved(0.0, 1.0, &[100.0, 10.0, 10.0, 3.0, 1.0, 1.0]);
        before.labels = ["Champions", "Loyal", "Lost"].map(str::to_owned).to_vec();
        before.numbers = vec![4, 7, 2];
        // In another order and at other scales; what rules would call them now is another thing.
        let mut now = saved(2.0, 3.0, &[1.1, 1.0, 90.0, 11.0, 12.0, 3.0]);
        now.labels = ["Hibernating", "Loyal", "At risk"].map(str::to_owned).to_vec();
        assert!(now.continue_from(&before));
        assert_eq!(
            (now.numbers.as_slice(), now.labels.as_slice()),
            (&[2, 4, 7][..], &["Lost", "Champions", "Loyal"].map(str::to_owned)[..],)
        );
        // One more cluster is new, and one that moved to where another was is called by what it is now.
        let mut more = saved(0.0, 1.0, &[95.0, 10.0, 99.0, 10.0, 1.0, 1.0, 10.0, 3.0]);
        more.labels = ["Champions", "Champions 2", "Lost", "Loyal"].map(str::to_owned).to_vec();
        before.labels[0] = "Stars".to_owned();
        assert!(more.continue_from(&before));
        assert_eq!(more.numbers.len(), 4);
        assert!(more.numbers.contains(&8));
        let labels: std::collections::BTreeSet<_> = more.labels.iter().collect();
        assert_eq!(labels.len(), 4, "{labels:?}");
        assert!(labels.iter().any(|label| *label == "Stars"));
    }
}

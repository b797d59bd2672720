//! From columns of a table to clusters that can be read.

use crate::dbscan::{check, dbscan, radius};
use crate::error::ClusterError;
use crate::evaluate::{Evaluation, WEAK_SILHOUETTE, choose};
use crate::explain::Explainer;
use crate::feature::Feature;
use crate::gmm::gmm;
use crate::hierarchical::hierarchical;
use crate::kmeans::kmeans;
use crate::label::labels;
use crate::lloyd::means;
use crate::names::{Method, Missing, Standardize, Transform};
use crate::optics::optics;
use crate::parallel::{Run, chunk_rows, for_each};
use crate::points::{Points, squared_distance};
use crate::prepare::{Preparation, Prepared, RowStatus, prepare};
use crate::profile::{Profile, profile};
use crate::saved::SavedCentroids;
use crate::scan::Scan;
use crate::silhouette::{self, EXACT_ROWS, SilhouetteKind};
use crate::vocabulary::leading;

/// The most clusters that `dbscan` and `optics` may find.
const MOST_REGIONS: usize = 1_000;

/// How many clusters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clusters {
    /// Chosen by silhouette and stability between two numbers, both included, as far as there are rows.
    Auto {
        /// Fewest clusters, at least 2.
        least: usize,
        /// Most clusters.
        most: usize,
    },
    /// This many.
    Exactly(usize),
}

/// What to do with the features.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Request {
    /// Number of clusters; no matter for `dbscan` and `optics`.
    pub clusters: Clusters,
    /// How clusters are found.
    pub method: Method,
    /// How columns are brought to one scale.
    pub standardize: Standardize,
    /// What is done to skewed columns first.
    pub transform: Transform,
    /// What is done with rows that lack a value.
    pub missing: Missing,
    /// Seed of everything random.
    pub seed: u64,
    /// Radius of `dbscan` and `optics` in scaled units; chosen from the data where absent.
    pub epsilon: Option<f64>,
    /// Rows within the radius, itself included, that make a row dense.
    pub min_points: usize,
}

impl Default for Request {
    /// k-means with 2 to 10 clusters of z-scores, ln(1 + x) of skewed columns, medians for missing values, seed 0.
    fn default() -> Self {
        Request {
            clusters: Clusters::Auto { least: 2, most: 10 },
            method: Method::KMeans,
            standardize: Standardize::ZScore,
            transform: Transform::Auto,
            missing: Missing::Impute,
            seed: 0,
            epsilon: None,
            min_points: 5,
        }
    }
}

/// What became of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// Clustered.
    Ok,
    /// Clustered with the median or the most frequent category in place of a missing value.
    Imputed,
    /// Left out because a value is missing.
    MissingValue,
    /// In no dense region (`dbscan` and `optics`).
    Noise,
}

impl Status {
    /// `ok`, `imputed`, `missing_value` or `noise`.
    pub fn name(self) -> &'static str {
        match self {
            Status::Ok => "ok",
            Status::Imputed => "imputed",
            Status::MissingValue => "missing_value",
            Status::Noise => "noise",
        }
    }
}

/// Where a row belongs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Assignment {
    /// Number of its cluster; `None` for noise and rows left out.
    pub cluster: Option<u32>,
    /// Distance to the cluster's mean in scaled units.
    pub distance: Option<f64>,
    /// Silhouette, of the kind that [`Clustering::silhouette_kind`] says.
    pub silhouette: Option<f64>,
    /// Number of the cluster with the nearest mean other than its own; for noise the nearest.
    pub second: Option<u32>,
    /// What became of the row.
    pub status: Status,
}

/// One cluster.
#[derive(Debug, Clone, PartialEq)]
pub struct Segment {
    /// Its number.
    pub cluster: u32,
    /// Its label.
    pub label: String,
    /// Sizes, means and medians.
    pub profile: Profile,
}

/// The answer to a [`Request`].
#[derive(Debug, Clone, PartialEq)]
pub struct Clustering {
    /// One a row of the features, in their order.
    pub assignments: Vec<Assignment>,
    /// Clusters by number.
    pub segments: Vec<Segment>,
    /// What `auto` compared; empty for a given number of clusters and methods that find it themselves.
    pub evaluations: Vec<Evaluation>,
    /// How silhouettes of rows were computed.
    pub silhouette_kind: SilhouetteKind,
    /// What the user should know.
    pub remarks: Vec<String>,
    /// Means, numbers and labels, for a later run to continue.
    pub saved: SavedCentroids,
    prepared: Prepared,
    explainer: Explainer,
}

impl Clustering {
    /// One sentence on what stands out in a row of the features that were clustered. Takes time only when asked.
    pub fn explain(&self, features: &[Feature], row: usize) -> String {
        match self.assignments[row].status {
            Status::MissingValue => "Left out because a value is missing.".into(),
            _ => self.explainer.explain(features, &self.prepared, row),
        }
    }

    /// The label of a cluster number; empty for one that is not there.
    pub fn label(&self, cluster: u32) -> &str {
        self.segments.iter().find(|segment| segment.cluster == cluster).map_or("", |segment| &segment.label)
    }
}

/// Prepares the features, finds clusters, numbers and names them.
///
/// Clusters are numbered from 0 in a fixed order: by their mean in the column that holds money by its name, else in the
/// first column, largest first; of equal ones by the columns after it. With `previous` they get the numbers of the
/// clusters that they continue instead, and their labels ([`SavedCentroids::continue_from`]). Memory: the prepared columns (8 bytes a
/// value) and about 150 bytes a row.
///
/// # Errors
/// Those of preparation and of the method.
pub fn cluster(
    features: &[Feature],
    request: &Request,
    previous: Option<&SavedCentroids>,
    run: Run,
) -> Result<Clustering, ClusterError> {
    let Request { standardize, transform, missing, .. } = *request;
    let prepared = prepare(features, Preparation { standardize, transform, missing })?;
    let mut remarks = prepared.remarks.clone();
    let points = prepared.points();
    let (k, evaluations) = number_of_clusters(points, request, run)?;
    if let Some(chosen) = evaluations.iter().find(|one| one.chosen)
        && chosen.silhouette < WEAK_SILHOUETTE
    {
        remarks.push(format!("clusters overlap widely: mean silhouette {:.2}", chosen.silhouette));
    }
    let found = find(points, k, request, &mut remarks, run)?;
    let (found, centroids) = in_canonical_order(points, found, &prepared);
    let clusters = centroids.len() / points.columns();
    if clusters < k {
        remarks.push(format!("{k} clusters were asked for, {clusters} could be told apart"));
    }

    let mut full: Vec<Option<u32>> = vec![None; prepared.status.len()];
    prepared.kept.iter().zip(&found).for_each(|(row, label)| full[*row] = *label);
    let profiles = profile(features, &full, clusters);
    let names: Vec<&str> = features.iter().map(|feature| feature.name.as_str()).collect();
    let labels = labels(&names, &profiles);

    let numbers = (0..clusters as u32).collect();
    let mut saved = SavedCentroids { columns: prepared.columns.clone(), centroids, numbers, labels };
    if let Some(previous) = previous
        && !saved.continue_from(previous)
    {
        remarks.push("the earlier clusters share no column with these; numbers start afresh".into());
    }
    let (silhouettes, silhouette_kind) = if points.rows() <= EXACT_ROWS {
        (silhouette::exact(points, &found, run), SilhouetteKind::Exact)
    } else {
        (Vec::new(), SilhouetteKind::Centroid)
    };
    let assignments = assignments(&prepared, &found, &saved.centroids, &silhouettes, &saved.numbers, run);
    let mut segments: Vec<Segment> = profiles
        .into_iter()
        .zip(&saved.labels)
        .zip(&saved.numbers)
        .map(|((profile, label), cluster)| Segment { cluster: *cluster, label: label.clone(), profile })
        .collect();
    segments.sort_by_key(|segment| segment.cluster);
    let explainer = Explainer::new(features, &prepared);
    Ok(Clustering {
        assignments,
        segments,
        evaluations,
        silhouette_kind,
        remarks,
        saved,
        prepared,
        explainer,
    })
}

/// The number asked for or chosen, and what it was chosen among.
fn number_of_clusters(
    points: Points,
    request: &Request,
    run: Run,
) -> Result<(usize, Vec<Evaluation>), ClusterError> {
    match (request.method, request.clusters) {
        (Method::Dbscan | Method::Optics, _) => Ok((0, Vec::new())),
        (_, Clusters::Exactly(k)) => Ok((k, Vec::new())),
        (_, Clusters::Auto { least, most }) => {
            if least < 2 || least > most {
                return Err(ClusterError::ClusterCount { k: least, least: 2, most });
            }
            let evaluations = choose(points, least, most, request.seed, run)?;
            Ok((evaluations.iter().find(|one| one.chosen).map_or(1, |one| one.k), evaluations))
        }
    }
}

fn find(
    points: Points,
    k: usize,
    request: &Request,
    remarks: &mut Vec<String>,
    run: Run,
) -> Result<Vec<Option<u32>>, ClusterError> {
    let seed = request.seed;
    let mut epsilon = || {
        let chosen = request.epsilon.unwrap_or_else(|| radius(points, request.min_points, seed));
        remarks.push(format!("epsilon {chosen:.4}"));
        chosen
    };
    let labels = match request.method {
        Method::KMeans => kmeans(points, k, seed, run)?.labels,
        Method::Hierarchical => hierarchical(points, k, seed, run)?,
        Method::Gmm => gmm(points, k, seed, run)?.labels,
        Method::Dbscan => return few(dbscan(points, epsilon(), request.min_points)?),
        Method::Optics => {
            check(request.epsilon.unwrap_or(1.0), request.min_points)?;
            let ordering = optics(points, request.min_points)?;
            return few(ordering.at(epsilon()));
        }
    };
    Ok(labels.into_iter().map(Some).collect())
}

/// Dense regions, unless there are more than anybody can read.
fn few(found: Vec<Option<u32>>) -> Result<Vec<Option<u32>>, ClusterError> {
    let regions = found.iter().flatten().max().map_or(0, |most| *most as usize + 1);
    if regions <= MOST_REGIONS {
        return Ok(found);
    }
    let expected = "at most 1000; raise epsilon or min_points";
    Err(ClusterError::Parameter { name: "number of dense regions", expected, got: regions as f64 })
}

/// Labels renumbered by their means, and the means in that order; numbers without rows are closed up.
fn in_canonical_order(
    points: Points,
    found: Vec<Option<u32>>,
    prepared: &Prepared,
) -> (Vec<Option<u32>>, Vec<f64>) {
    let columns = points.columns();
    let rows: Vec<usize> = (0..found.len()).filter(|row| found[*row].is_some()).collect();
    if rows.is_empty() {
        return (found, Vec::new());
    }
    let labels: Vec<u32> = found.iter().flatten().copied().collect();
    let k = labels.iter().max().map_or(0, |most| *most as usize + 1);
    let values = if rows.len() == found.len() { Vec::new() } else { points.gather(&rows) };
    let labelled = if values.is_empty() { points } else { Points::trusted(&values, columns) };
    let (means, counts) = means(labelled, &labels, k);
    let mean = |cluster: usize| &means[cluster * columns..(cluster + 1) * columns];
    let first = leading(prepared.columns.iter().map(|column| column.name.as_str()));
    let mut order: Vec<usize> = (0..k).filter(|cluster| counts[*cluster] > 0).collect();
    order.sort_by(|a, b| {
        let keys = (first..columns).chain(0..first);
        keys.map(|column| mean(*b)[column].total_cmp(&mean(*a)[column]))
            .find(|order| order.is_ne())
            .unwrap_or_else(|| counts[*b].cmp(&counts[*a]).then(a.cmp(b)))
    });
    let mut number = vec![0; k];
    order.iter().enumerate().for_each(|(at, cluster)| number[*cluster] = at as u32);
    let centroids = order.iter().flat_map(|cluster| mean(*cluster)).copied().collect();
    (found.into_iter().map(|label| label.map(|label| number[label as usize])).collect(), centroids)
}

fn assignments(
    prepared: &Prepared,
    found: &[Option<u32>],
    centroids: &[f64],
    silhouettes: &[Option<f64>],
    numbers: &[u32],
    run: Run,
) -> Vec<Assignment> {
    let points = prepared.points();
    let columns = points.columns();
    let clusters = numbers.len();
    let scan = Scan::new(centroids, columns);
    let size = chunk_rows(points.rows());
    let mut parts: Vec<Vec<Assignment>> = vec![Vec::new(); points.rows().div_ceil(size)];
    for_each(run, &mut parts, |part, assignments| {
        let mut room = scan.room();
        let end = ((part + 1) * size).min(points.rows());
        for (at, label) in found.iter().enumerate().take(end).skip(part * size) {
            let row = points.row(at);
            let nearest = scan.nearest(row, &mut room);
            let Some(own) = *label else {
                let second = (clusters > 0).then(|| numbers[nearest.first as usize]);
                assignments.push(Assignment {
                    cluster: None,
                    distance: None,
                    silhouette: None,
                    second,
                    status: Status::Noise,
                });
                continue;
            };
            let centroid = &centroids[own as usize * columns..(own as usize + 1) * columns];
            let distance = squared_distance(row, centroid).sqrt();
            let (other, away) = if nearest.first == own {
                (nearest.second, nearest.second_squared)
            } else {
                (nearest.first, nearest.first_squared)
            };
            assignments.push(Assignment {
                cluster: Some(numbers[own as usize]),
                distance: Some(distance),
                silhouette: silhouettes
                    .get(at)
                    .copied()
                    .unwrap_or_else(|| Some(silhouette::ratio(distance, away.sqrt()))),
                second: (clusters > 1).then(|| numbers[other as usize]),
                status: match prepared.status[prepared.kept[at]] {
                    RowStatus::Imputed => Status::Imputed,
                    _ => Status::Ok,
                },
            });
        }
    });
    let left_out = Assignment {
        cluster: None,
        distance: None,
        silhouette: None,
        second: None,
        status: Status::MissingValue,
    };
    let mut all = vec![left_out; prepared.status.len()];
    prepared.kept.iter().zip(parts.into_iter().flatten()).for_each(|(row, one)| all[*row] = one);
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feature::Values;
    use crate::parallel::in_order;
    use crate::random::Random;

    fn customers(rows: usize, seed: u64) -> Vec<Feature> {
        let mut random = Random::new(seed, 0);
        let mut columns = vec![Vec::new(); 3];
        for row in 0..rows {
            let (recency, frequency, money) =
                [(10.0, 30.0, 9000.0), (60.0, 8.0, 1500.0), (300.0, 1.0, 100.0)][row % 3];
            columns[0].push(recency * (0.8 + 0.4 * random.unit()));
            columns[1].push(frequency * (0.8 + 0.4 * random.unit()));
            columns[2].push(money * (0.8 + 0.4 * random.unit()));
        }
        ["recency", "frequency", "monetary"]
            .into_iter()
            .zip(columns)
            .map(|(name, values)| Feature { name: name.into(), values: Values::Number(values) })
            .collect()
    }

    #[test]
    fn customers_get_segments_by_every_method() {
        let features = customers(600, 1);
        for method in Method::ALL {
            let request = Request { method: *method, epsilon: Some(0.5), ..Request::default() };
            let found = cluster(&features, &request, None, &in_order).unwrap();
            let labels: Vec<&str> = found.segments.iter().map(|segment| segment.label.as_str()).collect();
            assert_eq!(labels, ["Champions", "Potential loyalists", "Lost"], "{method}: {:?}", found.remarks);
            assert!(
                found.assignments.iter().enumerate().all(|(row, one)| one.cluster == Some(row as u32 % 3))
            );
            assert_eq!(found.assignments[0].second, Some(1));
            assert!(found.assignments.iter().all(|one| one.silhouette > Some(0.5)));
            assert_eq!(found.label(2), "Lost");
        }
    }

    #[test]
    fn numbers_continue_those_of_an_earlier_run() {
        let before = cluster(&customers(600, 1), &Request::default(), None, &in_order).unwrap();
        let mut later = customers(600, 2);
        // A new, richest group would be number 0 by the order alone.
        for feature in &mut later {
            let Values::Number(values) = &mut feature.values else { unreachable!() };
            let rich = if feature.name == "recency" { 2.0 } else { 1e6 };
            values.extend((0..200).map(|row| rich * (1.0 + f64::from(row) / 1000.0)));
        }
        let saved = SavedCentroids::from_bytes(&before.saved.to_bytes()).unwrap();
        let request = Request { clusters: Clusters::Exactly(4), ..Request::default() };
        let after = cluster(&later, &request, Some(&saved), &in_order).unwrap();
        assert_eq!(
            after.assignments[..3].iter().map(|one| one.cluster).collect::<Vec<_>>(),
            [Some(0), Some(1), Some(2)]
        );
        assert_eq!(after.assignments[700].cluster, Some(3));
        let again = cluster(&customers(600, 1), &Request::default(), Some(&after.saved), &in_order).unwrap();
        assert_eq!(again.assignments[2].cluster, Some(2));
    }

    #[test]
    fn rows_without_values_and_huge_ones() {
        let mut features = customers(300, 3);
        let Values::Number(values) = &mut features[2].values else { unreachable!() };
        (values[0], values[4]) = (f64::NAN, 1e300);
        for missing in Missing::ALL {
            let request = Request { missing: *missing, ..Request::default() };
            let found = cluster(&features, &request, None, &in_order).unwrap();
            let status = if *missing == Missing::Skip { Status::MissingValue } else { Status::Imputed };
            assert_eq!(found.assignments[0].status, status);
            assert!(found.assignments.iter().all(|one| one.distance.is_none_or(f64::is_finite)));
            assert!(!found.explain(&features, 0).is_empty() && !found.explain(&features, 4).is_empty());
        }
    }

    #[test]
    fn small_and_odd_requests() {
        let one = [Feature { name: "x".into(), values: Values::Number(vec![1.0, 2.0]) }];
        let found = cluster(&one, &Request::default(), None, &in_order).unwrap();
        assert_eq!(found.segments.len(), 2);
        let exactly = |k| Request { clusters: Clusters::Exactly(k), ..Request::default() };
        assert!(matches!(
            cluster(&one, &exactly(3), None, &in_order),
            Err(ClusterError::ClusterCount { most: 2, .. })
        ));
        assert!(cluster(&one, &exactly(0), None, &in_order).is_err());
        let alone = cluster(&one, &exactly(1), None, &in_order).unwrap();
        assert_eq!((alone.assignments[0].second, alone.assignments[0].silhouette), (None, Some(0.0)));
        let many: Vec<f64> = (0..2_500).map(f64::from).collect();
        let many = [Feature { name: "x".into(), values: Values::Number(many) }];
        let request =
            Request { method: Method::Dbscan, epsilon: Some(1e-9), min_points: 1, ..Request::default() };
        assert!(cluster(&many, &request, None, &in_order).unwrap_err().to_string().contains("raise epsilon"));
        let noise = Request { method: Method::Dbscan, epsilon: Some(0.001), ..Request::default() };
        let noise = cluster(&one, &noise, None, &in_order).unwrap();
        assert_eq!((noise.assignments[0].status, noise.segments.len()), (Status::Noise, 0));
    }
}

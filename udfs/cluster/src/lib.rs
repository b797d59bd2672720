//! Clusters of rows: the algorithms behind the table functions `cluster`, `cluster_profile` and `cluster_evaluate`.
//!
//! The life of a request: [`prepare`] makes comparable numbers of the columns, [`choose`] compares numbers of clusters
//! where none was given, [`kmeans`] or another method finds them, and [`cluster`] does all of it, numbers and names the
//! clusters and says of each row where it belongs. All know slices only: no tables, threads or clocks. Work that can
//! run side by side is handed to a [`Run`] of the caller's, and results don't depend on what it does with it: the same
//! rows, [`Request`] and seed give the same bits everywhere.

mod agreement;
mod assignment;
mod cluster;
mod columns;
mod dbscan;
mod error;
mod evaluate;
mod explain;
mod feature;
mod function;
mod gmm;
mod hierarchical;
mod kmeans;
mod label;
mod lloyd;
mod names;
mod neighbours;
mod optics;
mod order_statistics;
mod parallel;
mod points;
mod prepare;
mod profile;
mod random;
mod saved;
mod scan;
mod seeding;
mod silhouette;
mod swap;
mod validity;
mod vocabulary;
mod ward;

pub use agreement::adjusted_rand_index;
pub use cluster::{Assignment, Clustering, Clusters, Request, Segment, Status, cluster};
pub use dbscan::{DBSCAN_ROWS, dbscan, radius};
pub use error::ClusterError;
pub use evaluate::{Evaluation, WEAK_SILHOUETTE, choose, evaluate};
pub use explain::Explainer;
pub use feature::{Feature, Values};
pub use function::functions;
pub use gmm::{FULL_COLUMNS, Mixture, gmm};
pub use hierarchical::{GROUPS, hierarchical};
pub use kmeans::{KMeans, MOST_CLUSTERS, kmeans};
pub use label::labels;
pub use names::{Method, Missing, Standardize, Transform, UnknownName};
pub use optics::{OPTICS_ROWS, Ordering, optics};
pub use points::{LARGEST_COORDINATE, Points};
pub use prepare::{CATEGORIES, Column, MOST_COLUMNS, Preparation, Prepared, RowStatus, prepare};
pub use profile::{FeatureProfile, Profile, profile};
pub use saved::SavedCentroids;
pub use silhouette::{
    EXACT_ROWS, SAMPLE_ROWS, SilhouetteKind, exact as silhouettes, mean as mean_silhouette,
};
pub use smartsneaks_table_function::{Run, in_order};
pub use validity::{Validity, validity};
pub use vocabulary::{Meaning, meaning};
pub use ward::{Dendrogram, Merge, WARD_ROWS, ward};

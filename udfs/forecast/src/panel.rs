//! Forecasts of a panel: many related daily series that learn from each other.
//!
//! The life of a panel: [`prepare`] checks each series and fits local models where they will be judged (in parallel),
//! [`train`] pools weekdays, ages and levels, holds the last days out, learns trees across all series, and chooses
//! between local and global by what the held-out days say; [`PanelModel::predict`] forecasts a series with bounds from
//! the errors of the whole panel (in parallel); [`reconcile`] makes series and their sums agree. All know slices only,
//! and give the same bits whatever the number of threads.

mod band;
mod bins;
mod boost;
mod bytes;
mod draw;
mod explain;
mod features;
mod hierarchy;
mod holdout;
mod holiday;
mod local;
mod loss;
mod pool;
mod profile;
mod reconcile;
mod sample;
mod series;
mod totals;
mod train;
mod tree;

pub use bytes::BadPanelModel;
pub(crate) use bytes::{Reader, write_text};
pub use hierarchy::{BadHierarchy, Hierarchy};
pub(crate) use holdout::Skills;
pub(crate) use holdout::scale;
pub use holdout::{PanelMethod, PanelScore};
pub(crate) use local::LocalModel;
pub use loss::PanelLoss;
pub use reconcile::{Reconciliation, reconcile};
pub(crate) use series::ready;
pub use series::{PANEL_HISTORY, PANEL_HORIZON, PanelRequest, PreparedSeries, Series, prepare};
pub use train::{PanelForecast, PanelModel, PanelReport, train};

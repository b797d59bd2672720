//! The rows of a table at one Delta version, as DataFusion scans them.
//!
//! The plan is DataFusion's own Parquet scan, which can be sent to a worker and whose file metadata is cached; what this
//! module adds is which files it reads. Filters on partition columns alone are answered here and nowhere else; all
//! others drop the files whose statistics rule them out, and are applied again to the rows.

use std::sync::Arc;

use arrow::array::BooleanArray;
use arrow::array::cast::AsArray;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::config::TableParquetOptions;
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result, Statistics};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::CachedParquetFileReaderFactory;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, FileSource, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr;
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::metrics::MetricBuilder;
use object_store::ObjectStore;

use crate::file_index::FileIndex;

/// A store, and the URL under which a runtime knows it.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) url: ObjectStoreUrl,
    pub(crate) store: Arc<dyn ObjectStore>,
}

/// A table of the warehouse, pinned to a Delta version.
#[derive(Debug)]
pub(crate) struct PinnedTable {
    files: FileIndex,
    place: Place,
    statistics: Statistics,
}

/// Whether it is one of the tables that [`Lake::table`](crate::Lake::table) gives: one whose rows never change.
#[must_use]
pub fn is_pinned(provider: &dyn TableProvider) -> bool {
    provider.is::<PinnedTable>()
}

impl PinnedTable {
    /// The table over `files`.
    pub(crate) fn try_new(files: FileIndex, place: Place) -> Result<Self> {
        let scanned = merged(&files, &(0..files.files.len()).collect::<Vec<_>>())?;
        // The files' order of columns is not the table's.
        let scan_schema = files.scan_schema();
        let mut statistics = scanned.clone();
        statistics.column_statistics = files
            .schema
            .fields()
            .iter()
            .map(|field| Ok(scanned.column_statistics[scan_schema.index_of(field.name())?].clone()))
            .collect::<Result<_>>()?;
        Ok(Self { files, place, statistics })
    }

    fn is_partition_filter(&self, filter: &Expr) -> bool {
        let mut columns = 0;
        let mut fits = true;
        let walked = filter.apply(|node| {
            match node {
                Expr::Column(column) => {
                    columns += 1;
                    fits &= self.files.partitions.schema_ref().index_of(&column.name).is_ok();
                }
                Expr::Exists(_)
                | Expr::InSubquery(_)
                | Expr::ScalarSubquery(_)
                | Expr::SetComparison(_)
                | Expr::OuterReferenceColumn(..) => {
                    fits = false;
                }
                _ => {}
            }
            Ok(TreeNodeRecursion::Continue)
        });
        walked.is_ok() && fits && columns > 0 && !filter.is_volatile()
    }

    /// The files that may hold rows which pass the filters, and whether every row of them does.
    fn select(&self, state: &dyn Session, filters: &[Expr]) -> Result<(Vec<usize>, bool)> {
        let (exact, inexact): (Vec<Expr>, Vec<Expr>) =
            filters.iter().cloned().partition(|filter| self.is_partition_filter(filter));
        let all_rows = inexact.is_empty();
        let mut keep = vec![true; self.files.files.len()];
        if let Some(filter) = conjunction(exact) {
            let schema = DFSchema::try_from(Arc::clone(self.files.partitions.schema_ref()))?;
            let filter = state.create_physical_expr(filter, &schema)?;
            let passes = filter.evaluate(&self.files.partitions)?.into_array(keep.len())?;
            let passes: &BooleanArray = passes.as_boolean();
            // A filter that is null drops the row.
            keep.iter_mut().zip(passes).for_each(|(keep, passes)| *keep = passes.unwrap_or(false));
        }
        if !all_rows {
            let schema = DFSchema::try_from(Arc::clone(&self.files.schema))?;
            // A filter that statistics can't be held against, such as one with a sub-query, keeps every file.
            let filters =
                inexact.into_iter().filter_map(|filter| state.create_physical_expr(filter, &schema).ok());
            let predicate = PruningPredicateBuilder::new()
                .with_file_schema(Arc::clone(&self.files.schema))
                .try_build(physical_expr::conjunction(filters));
            if let Ok(predicate) = predicate
                && !predicate.always_true()
            {
                let may_hold = predicate.prune(&self.files)?;
                keep.iter_mut().zip(may_hold).for_each(|(keep, may)| *keep &= may);
            }
        }
        let selected = keep.iter().enumerate().filter(|(_, keep)| **keep).map(|(at, _)| at).collect();
        Ok((selected, all_rows))
    }

    /// The first of the files that hold `limit` rows together.
    fn cut(&self, selected: &mut Vec<usize>, limit: usize) {
        let mut rows = 0;
        let mut needed = 0;
        for at in selected.iter() {
            if rows >= limit {
                break;
            }
            rows += self.files.rows(*at).unwrap_or(0);
            needed += 1;
        }
        selected.truncate(needed);
    }

    fn parquet_source(&self, state: &dyn Session, pruned: usize) -> ParquetSource {
        let runtime = state.runtime_env();
        if runtime.object_store(&self.place.url).is_err() {
            runtime.register_object_store(self.place.url.as_ref(), Arc::clone(&self.place.store));
        }
        let columns = TableSchema::builder(Arc::clone(&self.files.file_schema))
            .with_table_partition_cols(self.files.partition_fields.clone())
            .build();
        let options = TableParquetOptions {
            global: state.config_options().execution.parquet.clone(),
            ..Default::default()
        };
        let footers = runtime.cache_manager.get_file_metadata_cache();
        let reader = CachedParquetFileReaderFactory::new(Arc::clone(&self.place.store), footers);
        let source = ParquetSource::new(columns)
            .with_table_parquet_options(options)
            .with_parquet_file_reader_factory(Arc::new(reader));
        // EXPLAIN ANALYZE shows what the log ruled out before the scan began.
        MetricBuilder::new(source.metrics()).global_counter("files_pruned_by_log").add(pruned);
        source
    }

    fn partitioned_file(&self, at: usize) -> Result<PartitionedFile> {
        let mut file = PartitionedFile::new_from_meta(self.files.files[at].clone())
            .with_partition_values(self.files.partition_values(at)?);
        // Set directly, because `with_statistics` takes it that a partition value is never null.
        file.statistics = Some(self.files.statistics(at));
        Ok(file)
    }
}

#[async_trait]
impl TableProvider for PinnedTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.files.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let answer = |filter: &&Expr| match self.is_partition_filter(filter) {
            true => TableProviderFilterPushDown::Exact,
            false => TableProviderFilterPushDown::Inexact,
        };
        Ok(filters.iter().map(answer).collect())
    }

    fn statistics(&self) -> Option<Statistics> {
        Some(self.statistics.clone())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let (mut selected, all_rows) = self.select(state, filters)?;
        let pruned = self.files.files.len() - selected.len();
        if let Some(limit) = limit
            && all_rows
        {
            self.cut(&mut selected, limit);
        }
        let wanted: Vec<usize> = match projection {
            Some(projection) => projection.clone(),
            None => (0..self.files.schema.fields().len()).collect(),
        };
        if selected.is_empty() {
            return Ok(Arc::new(EmptyExec::new(Arc::new(self.files.schema.project(&wanted)?))));
        }
        let scan_schema = self.files.scan_schema();
        let wanted =
            wanted.into_iter().map(|at| Ok(scan_schema.index_of(self.files.schema.field(at).name())?));
        let wanted = wanted.collect::<Result<Vec<usize>>>()?;
        let statistics = merged(&self.files, &selected)?;
        let files = selected.into_iter().map(|at| self.partitioned_file(at)).collect::<Result<Vec<_>>>()?;
        let groups = FileGroup::new(files).split_files(state.config().target_partitions().max(1));

        let source = self.parquet_source(state, pruned);
        let config = FileScanConfigBuilder::new(self.place.url.clone(), Arc::new(source))
            .with_file_groups(groups)
            .with_statistics(statistics)
            .with_projection_indices(Some(wanted))?
            .with_limit(limit)
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }
}

fn merged(files: &FileIndex, selected: &[usize]) -> Result<Statistics> {
    let schema = files.scan_schema();
    if selected.is_empty() {
        let mut nothing = Statistics::new_unknown(&schema);
        nothing.num_rows = Precision::Exact(0);
        return Ok(nothing);
    }
    let single: Vec<Arc<Statistics>> = selected.iter().map(|at| files.statistics(*at)).collect();
    Statistics::try_merge_iter(single.iter().map(AsRef::as_ref), &schema)
}

//! Sources as DataFusion tables: a scan streams its files with bounded memory, on threads that may block.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{SchemaProvider, Session, TableProvider};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::stream::RecordBatchReceiverStreamBuilder;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use datafusion::physical_plan::{ExecutionPlan, SendableRecordBatchStream};

use super::column::Wanted;
use super::{Faults, Format, Source, SourceFile, csv, jsonl, parquet};
use crate::error::EtlError;

/// Batches that may wait between the reader of a file and the query.
const CHANNEL: usize = 2;

/// Schema `raw`: the sources which a run has opened.
#[derive(Debug)]
pub struct RawSchema {
    tables: BTreeMap<String, Arc<SourceTable>>,
    faults: Faults,
}

impl RawSchema {
    /// A schema of these sources.
    pub fn new(sources: Vec<Source>) -> Self {
        let faults = Faults::default();
        let tables = sources
            .into_iter()
            .map(|source| {
                let table = SourceTable { source: Arc::new(source), faults: faults.clone() };
                (table.source.name.clone(), Arc::new(table))
            })
            .collect();
        Self { tables, faults }
    }

    /// Where readers leave what went wrong.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }
}

#[async_trait]
impl SchemaProvider for RawSchema {
    fn table_names(&self) -> Vec<String> {
        self.tables.keys().cloned().collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        Ok(self.tables.get(name).map(|table| Arc::clone(table) as Arc<dyn TableProvider>))
    }

    fn table_exist(&self, name: &str) -> bool {
        self.tables.contains_key(name)
    }
}

#[derive(Debug)]
struct SourceTable {
    source: Arc<Source>,
    faults: Faults,
}

#[async_trait]
impl TableProvider for SourceTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.source.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = match projection {
            Some(projection) => Arc::new(self.source.schema.project(projection)?),
            None => self.schema(),
        };
        // As many partitions as the query has threads, each with its files one after the other: memory and open files
        // stay bounded whatever the number of files.
        let count = state.config().target_partitions().clamp(1, self.source.files.len().max(1));
        let mut files = vec![Vec::new(); count];
        for (i, file) in self.source.files.iter().enumerate() {
            files[i % count].push(file.clone());
        }
        let partitions = files
            .into_iter()
            .map(|files| {
                Arc::new(FilesStream {
                    source: Arc::clone(&self.source),
                    files,
                    schema: Arc::clone(&schema),
                    faults: self.faults.clone(),
                }) as Arc<dyn PartitionStream>
            })
            .collect();
        Ok(Arc::new(StreamingTableExec::try_new(schema, partitions, None, [], false, limit)?))
    }
}

/// The files of one partition.
#[derive(Debug)]
struct FilesStream {
    source: Arc<Source>,
    files: Vec<SourceFile>,
    schema: SchemaRef,
    faults: Faults,
}

impl PartitionStream for FilesStream {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let mut builder = RecordBatchReceiverStreamBuilder::new(Arc::clone(&self.schema), CHANNEL);
        let sender = builder.tx();
        let (source, files, faults) = (Arc::clone(&self.source), self.files.clone(), self.faults.clone());
        let wanted = Wanted {
            schema: Arc::clone(&self.schema),
            batch_size: context.session_config().batch_size().max(1),
        };
        builder.spawn_blocking(move || {
            let mut open = true;
            for file in &files {
                // The receiver is gone when the query was cancelled or has seen enough.
                let mut sink = |batch: RecordBatch| {
                    open = sender.blocking_send(Ok(batch)).is_ok();
                    open
                };
                if let Err(error) = read(&source, file, &wanted, &mut sink) {
                    let message = error.to_string();
                    faults.put(error);
                    return Err(DataFusionError::Execution(message));
                }
                if !open {
                    break;
                }
            }
            Ok(())
        });
        builder.build()
    }
}

fn read(
    source: &Source,
    file: &SourceFile,
    wanted: &Wanted,
    sink: &mut dyn FnMut(RecordBatch) -> bool,
) -> std::result::Result<(), EtlError> {
    match source.format {
        Format::Csv { .. } => csv::read(source, file, wanted, sink),
        Format::JsonLines { .. } => jsonl::read(source, file, wanted, sink),
        Format::Parquet => parquet::read(source, file, wanted, sink),
    }
}

//! What all sessions share: storage, memory, threads and functions.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use datafusion::common::config::Dialect;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::{FunctionRegistry, SessionState, SessionStateBuilder};
use datafusion::prelude::SessionConfig;
use smartsneaks_authenticate_image::{ImageConfig, Images};
use smartsneaks_lake::Lake;
use smartsneaks_table_function::{Function, Registry};

use crate::error::{Error, Kind};
use crate::models::Cache;
use crate::opaque::Opaque;
use crate::planner::EnginePlanner;
use crate::plans::Plans;
use crate::session::{Session, SessionOptions};
use crate::settings::Settings;
use crate::{CATALOG, DEFAULT_SCHEMA, postgres};

/// The engine of one warehouse. Opened once a process; every connection gets a [`Session`] from it.
pub struct Engine {
    settings: Settings,
    lake: Arc<Lake>,
    functions: Arc<Registry>,
    models: Cache,
    plans: Plans,
    images: Arc<Images>,
    template: Opaque<SessionState>,
    cpu: CpuRuntime,
    next_session: AtomicI32,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Engine {
    /// Opens the warehouse that `settings` name and starts the threads that run queries.
    ///
    /// # Errors
    /// When the warehouse cannot be read or created, or the spill folder cannot be used.
    pub async fn open(settings: Settings) -> Result<Arc<Self>, Error> {
        let lake = Lake::open(&settings.warehouse).await?;
        let runtime = runtime_env(&settings)?;
        lake.register(&runtime);
        let images = Arc::new(Images::new(settings.images.clone()));
        let functions = Arc::new(functions(&images));
        let template = Opaque::new(template(&settings, runtime, &images)?);
        let cpu = CpuRuntime::start(settings.threads)?;
        Ok(Arc::new(Self {
            settings,
            lake,
            functions,
            models: Cache::new(),
            plans: Plans::new(),
            images,
            template,
            cpu,
            next_session: AtomicI32::new(1),
        }))
    }

    /// A new session; sessions share nothing that a client can change.
    #[must_use]
    pub fn session(self: &Arc<Self>, options: SessionOptions) -> Arc<Session> {
        let id = self.next_session.fetch_add(1, Ordering::Relaxed);
        Session::new(Arc::clone(self), id, options)
    }

    /// The settings it was opened with.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The warehouse's tables and versions.
    #[must_use]
    pub fn lake(&self) -> &Arc<Lake> {
        &self.lake
    }

    /// The table functions that SQL can call.
    #[must_use]
    pub fn functions(&self) -> &Arc<Registry> {
        &self.functions
    }

    pub(crate) fn models(&self) -> &Cache {
        &self.models
    }

    pub(crate) fn plans(&self) -> &Plans {
        &self.plans
    }

    pub(crate) fn images(&self) -> &Arc<Images> {
        &self.images
    }

    pub(crate) fn template(&self) -> &SessionState {
        &self.template
    }

    /// The runtime on which plans are made and streams are driven.
    pub(crate) fn cpu(&self) -> &tokio::runtime::Handle {
        &self.cpu.handle
    }
}

/// Whether the engine has a table function called `name`.
#[must_use]
pub fn built_in(name: &str) -> bool {
    functions(&Arc::new(Images::new(ImageConfig::default()))).get(name).is_some()
}

/// The table functions that are built in.
fn functions(images: &Arc<Images>) -> Registry {
    let forecast = smartsneaks_forecast::functions().into_iter().map(Function::from);
    let functions = forecast
        .chain(smartsneaks_anomaly::functions())
        .chain(smartsneaks_authenticate_image::functions(images))
        .chain(smartsneaks_cluster::functions())
        .chain(smartsneaks_insights::functions());
    Registry::new(functions)
}

fn runtime_env(settings: &Settings) -> Result<Arc<RuntimeEnv>, Error> {
    let disk = DiskManagerBuilder::default().with_max_temp_directory_size(settings.spill_limit);
    let disk = match &settings.spill_dir {
        Some(dir) => {
            std::fs::create_dir_all(dir).map_err(|e| {
                Error::new(Kind::Config, format!("cannot use spill folder {}: {e}", dir.display()))
                    .with_source(e)
            })?;
            disk.with_mode(DiskManagerMode::Directories(vec![dir.clone()]))
        }
        None => disk,
    };
    let env = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(crate::memory::QueryMemory::new(settings.memory_limit)))
        .with_disk_manager_builder(disk)
        .build_arc()?;
    Ok(env)
}

fn template(
    settings: &Settings,
    runtime: Arc<RuntimeEnv>,
    images: &Arc<Images>,
) -> Result<SessionState, Error> {
    let mut config = SessionConfig::new()
        .with_default_catalog_and_schema(CATALOG, DEFAULT_SCHEMA)
        .with_create_default_catalog_and_schema(false)
        .with_information_schema(true)
        .with_target_partitions(settings.threads);
    let options = config.options_mut();
    options.sql_parser.dialect = Dialect::PostgreSQL;
    // Errors point at the SQL.
    options.sql_parser.collect_spans = true;
    // Doors write text as text; views of it would make each of them know two more types.
    options.sql_parser.map_string_types_to_utf8view = false;
    options.execution.parquet.schema_force_view_types = false;
    let mut state = SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(runtime)
        .with_default_features()
        .with_query_planner(Arc::new(EnginePlanner))
        .build();
    for function in smartsneaks_anomaly::window_functions() {
        state.register_udwf(Arc::new(function))?;
    }
    for function in smartsneaks_authenticate_image::scalar_functions(images) {
        state.register_udf(Arc::new(function))?;
    }
    Ok(postgres::register(state)?)
}

/// Threads of their own for queries, so that one which computes for minutes keeps no connection from being served.
struct CpuRuntime {
    handle: tokio::runtime::Handle,
    runtime: Option<tokio::runtime::Runtime>,
}

impl CpuRuntime {
    fn start(threads: usize) -> Result<Self, Error> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads)
            .thread_name("query")
            // Plans of deeply nested statements recurse.
            .thread_stack_size(8 << 20)
            .enable_all()
            .build()
            .map_err(|e| Error::new(Kind::Io, format!("cannot start query threads: {e}")).with_source(e))?;
        Ok(Self { handle: runtime.handle().clone(), runtime: Some(runtime) })
    }
}

impl Drop for CpuRuntime {
    fn drop(&mut self) {
        // A runtime must not be waited for from async code; what still runs was interrupted by its session's end.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

//! `smartsneaks`: builds the warehouse, serves it, and asks it.
//!
//! One subcommand is one file. Results go to stdout, everything else to stderr. Exit codes: 0 done, 1 it failed, 2 wrong
//! usage or configuration, 3 a check said no.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line program talks through them")]

mod failure;
mod generate;
mod run;
mod serve;
mod sql;
mod sql_format;
mod sql_remote;
mod sql_shell;
mod train;
mod versions;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};
use smartsneaks_engine::Project;

use failure::Failure;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A SQL-first warehouse: raw files become a versioned star schema that any Postgres or Flight SQL client queries.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: serve::Serve,
}

/// What every command takes.
#[derive(Debug, Args)]
struct Global {
    /// Project folder; default: the nearest folder upwards that holds smartsneaks.toml
    #[arg(long, global = true, value_name = "DIR", env = "SMARTSNEAKS_PROJECT")]
    project: Option<PathBuf>,
    /// Where the warehouse lies: a folder or a URL; default: warehouse/ in the project
    #[arg(long, global = true, value_name = "URL")]
    warehouse: Option<String>,
    /// How log lines are written on stderr
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text, env = "SMARTSNEAKS_LOG_FORMAT")]
    log_format: LogFormat,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

impl Global {
    /// The project, with `flags` over the environment and smartsneaks.toml.
    fn project(&self, mut flags: Vec<(&'static str, String)>) -> Result<Project, Failure> {
        if let Some(warehouse) = &self.warehouse {
            let here = if warehouse.contains("://") {
                warehouse.clone()
            } else {
                let path = std::path::absolute(warehouse).map_err(|e| Failure::usage(e.to_string()))?;
                path.display().to_string()
            };
            flags.push(("warehouse.url", here));
        }
        Ok(Project::load(self.project.as_deref(), &flags)?)
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the warehouse to Postgres, Flight SQL and HTTP clients; builds it first when it was never built
    Serve(serve::Serve),
    /// Run the ETL: one warehouse version a run
    Run(run::Run),
    /// Train the models that the project declares in sql/ml, and keep them in the warehouse
    Train(train::Train),
    /// Ask the warehouse, once or interactively
    Sql(sql::Sql),
    /// List and show warehouse versions
    #[command(subcommand)]
    Versions(versions::Versions),
    /// Write realistic raw data of any size
    Generate(generate::Generate),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    if let (Some(_), Some(flag)) = (&cli.command, cli.serve.first_flag()) {
        let message = format!("{flag} belongs to serve and stands before another command");
        return Failure::usage(message).with_hint("write it after serve").report();
    }
    start_log(cli.global.log_format);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => return Failure::failed(format!("cannot start threads: {e}")).report(),
    };
    let result = runtime.block_on(dispatch(cli));
    // Blocking reads that are still under way must not hold the exit up.
    runtime.shutdown_background();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

async fn dispatch(cli: Cli) -> Result<(), Failure> {
    let Cli { global, command, serve } = cli;
    match command.unwrap_or(Command::Serve(serve)) {
        Command::Serve(command) => command.run(&global).await,
        Command::Run(command) => command.run(&global).await,
        Command::Train(command) => command.run(&global).await,
        Command::Sql(command) => command.run(&global).await,
        Command::Versions(command) => command.run(&global).await,
        Command::Generate(command) => command.run(),
    }
}

/// Log lines on stderr; `RUST_LOG` chooses, warnings are the default.
fn start_log(format: LogFormat) {
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    let color =
        std::env::var_os("NO_COLOR").is_none() && std::io::IsTerminal::is_terminal(&std::io::stderr());
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(color);
    match format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().init(),
    }
}

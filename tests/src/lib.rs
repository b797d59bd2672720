//! What several suites share: projects to test with, and a served engine on free ports.

mod project;
mod server;

pub use project::{demo, demo_with, repository};
pub use server::Server;

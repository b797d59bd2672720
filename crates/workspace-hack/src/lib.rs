//! No code: see Cargo.toml, which `cargo hakari generate` writes.

//! The interactive shell of `smartsneaks sql`.

use rustyline::DefaultEditor;
use rustyline::error::ReadlineError;

use crate::failure::Failure;
use crate::sql::Target;
use crate::sql_format::Format;

/// Reads statements, each ended by a semicolon, until `\q`, `exit` or the end of input.
pub(crate) async fn run(target: &mut Target, format: Format) -> Result<(), Failure> {
    let mut editor = DefaultEditor::new().map_err(|e| Failure::failed(e.to_string()))?;
    let mut pending = String::new();
    loop {
        let prompt = if pending.is_empty() { "smartsneaks=> " } else { "smartsneaks-> " };
        let line = match editor.readline(prompt) {
            Ok(line) => line,
            Err(ReadlineError::Interrupted) => {
                pending.clear();
                continue;
            }
            Err(ReadlineError::Eof) => return Ok(()),
            Err(e) => return Err(Failure::failed(e.to_string())),
        };
        if pending.is_empty() && matches!(line.trim(), "\\q" | "exit" | "quit") {
            return Ok(());
        }
        pending.push_str(&line);
        pending.push('\n');
        if line.trim_end().ends_with(';') {
            let statement = std::mem::take(&mut pending);
            let _ = editor.add_history_entry(statement.trim());
            tokio::select! {
                result = target.ask(&statement, format) => {
                    if let Err(failure) = result {
                        eprintln!("{}", failure.text());
                    }
                }
                signal = tokio::signal::ctrl_c() => {
                    signal.map_err(|e| Failure::failed(e.to_string()))?;
                    eprintln!("canceled");
                }
            }
        }
    }
}

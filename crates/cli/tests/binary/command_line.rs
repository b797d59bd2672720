//! Commands, exit codes, and what is said when something is wrong.

use std::time::{Duration, Instant};

use crate::project::{Project, text};

#[test]
fn a_folder_without_a_project_says_what_to_do() {
    let project = Project::new();
    let elsewhere = tempfile::tempdir().unwrap();
    let output = project.command(&["run"]).current_dir(elsewhere.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    assert!(said.contains("no smartsneaks.toml in") && said.contains("--project"), "{said}");
}

#[test]
fn a_busy_port_says_what_to_do() {
    let project = Project::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = project.run(&["serve", "--pg", &address, "--flight", "off", "--http", "off"]);
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    assert!(
        said.contains(&format!("cannot open the Postgres door on {address}")) && said.contains("--pg"),
        "{said}"
    );
}

#[test]
fn an_unusable_warehouse_folder_is_one_line() {
    let project = Project::new();
    std::fs::write(project.path("occupied"), "a file").unwrap();
    let output = project.run(&["run", "--warehouse", "occupied"]);
    assert_ne!(output.status.code(), Some(0));
    let said = text(&output.stderr);
    assert!(said.contains("occupied"), "{said}");
    assert!(!said.contains("panicked"), "{said}");
}

#[test]
fn wrong_usage_is_exit_code_2() {
    let project = Project::new();
    assert_eq!(project.run(&["generate", "--orders", "0", "--out", "x"]).status.code(), Some(2));
    assert_eq!(project.run(&["nonsense"]).status.code(), Some(2));
    assert_eq!(project.run(&["run", "--full", "--select", "fact_sales"]).status.code(), Some(2));
}

#[test]
fn global_options_stand_before_or_after_the_command() {
    let project = Project::new();
    assert!(project.run(&["--warehouse", "elsewhere", "run"]).status.success());
    assert!(project.path("elsewhere").is_dir());
    let output =
        project.run(&["sql", "--warehouse", "elsewhere", "-c", "SELECT count(*) > 0 FROM fact_sales"]);
    assert!(text(&output.stdout).contains("true"), "{}", text(&output.stdout));
    let output = project.run(&["--pg", "off", "run"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("--pg belongs to serve"), "{}", text(&output.stderr));
}

#[test]
fn sql_shows_where_a_statement_is_wrong() {
    let project = Project::new();
    assert!(project.run(&["run"]).status.success());
    let output = project.run(&["sql", "-c", "SELECT nothing\nFROM fact_sales"]);
    assert_eq!(output.status.code(), Some(1));
    insta::assert_snapshot!("unknown_column", text(&output.stderr));
    let output = project.run(&["sql", "-c", "SELECT * FROM fact_sale"]);
    insta::assert_snapshot!("unknown_table", text(&output.stderr));
}

#[test]
fn a_run_that_fails_leaves_the_previous_version() {
    let project = Project::new();
    assert!(project.run(&["run"]).status.success());
    let before = project.ask("SELECT count(*), sum(revenue) FROM fact_sales");
    std::fs::write(project.path("data/raw/sales/sales-2099-01.csv.gz"), b"not gzip at all").unwrap();
    let output = project.run(&["run"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let said = text(&output.stderr);
    assert!(said.contains("sales-2099-01.csv.gz"), "{said}");
    assert_eq!(project.ask("SELECT count(*), sum(revenue) FROM fact_sales"), before);
    let versions = text(&project.run(&["versions", "list"]).stdout);
    assert_eq!(versions.lines().count(), 2, "{versions}");
}

#[test]
fn a_missing_column_names_file_and_line() {
    let project = Project::new();
    std::fs::write(project.path("data/raw/catalog.csv"), "sku,brand,model\nSKU1,Nike,Air\n").unwrap();
    let output = project.run(&["run"]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(said.contains("data/raw/catalog.csv:1") && said.contains("category"), "{said}");
}

#[test]
fn serving_builds_what_was_never_built_and_ends_on_signals() {
    for signal in [libc::SIGINT, libc::SIGTERM] {
        let project = Project::new();
        let (mut served, ready) = project.serve();
        assert!(ready.starts_with("ready version=1 pg=127.0.0.1:"), "{ready}");
        let started = Instant::now();
        served.signal(signal);
        let status = served.0.wait().unwrap();
        assert!(started.elapsed() < Duration::from_secs(5));
        assert_eq!(status.code(), Some(0));
    }
}

#[test]
fn the_same_rows_come_from_here_and_from_a_server() {
    let project = Project::new();
    let (_served, ready) = project.serve();
    let flight = ready.split("flight=").nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
    let sql = "SELECT * FROM forecast('SKU1', horizon => 28)";
    let here = text(&project.run(&["sql", "-c", sql, "--format", "csv"]).stdout);
    let url = format!("grpc://{flight}");
    let there = text(&project.run(&["sql", "-c", sql, "--format", "csv", "--connect", &url]).stdout);
    assert_eq!(here, there);
    assert_eq!(here.lines().count(), 29, "{here}");
}

#[test]
fn versions_are_listed_and_shown() {
    let project = Project::new();
    for _ in 0..2 {
        assert!(project.run(&["run"]).status.success());
    }
    let list = text(&project.run(&["versions", "list"]).stdout);
    assert_eq!(list.lines().count(), 3, "{list}");
    let shown = text(&project.run(&["versions", "show", "1"]).stdout);
    assert!(shown.contains("public.fact_sales"), "{shown}");
    let output = project.run(&["versions", "show", "99"]);
    assert_eq!(output.status.code(), Some(1));
    // Two versions join in one query.
    let joined = "SELECT count(*) FROM \"@1\".fact_sales o JOIN \"@2\".fact_sales n ON n.sale_id = o.sale_id";
    assert_eq!(project.ask(joined), project.ask("SELECT count(*) FROM fact_sales"));
}

#[test]
fn formats_are_what_they_say() {
    let project = Project::new();
    let sql = "SELECT 1 AS one, 'a' AS letter";
    let print = |format| text(&project.run(&["sql", "-c", sql, "--format", format]).stdout);
    assert_eq!(print("csv"), "one,letter\n1,a\n");
    assert_eq!(print("json"), "{\"one\":1,\"letter\":\"a\"}\n");
    insta::assert_snapshot!("table", print("table"));
    let parquet = project.run(&["sql", "-c", sql, "--format", "parquet"]).stdout;
    assert!(parquet.starts_with(b"PAR1") && parquet.ends_with(b"PAR1"));
}

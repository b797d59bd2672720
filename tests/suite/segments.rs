//! Groups of customers from load to load: they keep their numbers and names, and few customers change theirs.

use smartsneaks_engine::{Engine, Project, SessionOptions};
use smartsneaks_tests::repository;

use crate::models::{rows, run};
use crate::truth::copy;

/// The last months of the demo, each of which comes with a load of its own.
const LATER: [&str; 2] = ["sales-2026-02.csv.gz", "sales-2026-03.csv.gz"];

#[tokio::test(flavor = "multi_thread")]
async fn groups_keep_their_names_while_months_are_loaded() {
    let dir = tempfile::tempdir().unwrap();
    for folder in ["data/raw", "data/reference", "sql", "udfs/sql"] {
        copy(&repository().join(folder), &dir.path().join(folder));
    }
    std::fs::copy(repository().join("smartsneaks.toml"), dir.path().join("smartsneaks.toml")).unwrap();
    std::os::unix::fs::symlink(repository().join("models"), dir.path().join("models")).unwrap();
    let sales = dir.path().join("data/raw/sales");
    for month in LATER {
        std::fs::remove_file(sales.join(month)).unwrap();
    }
    let project = Project::load(Some(dir.path()), &[]).unwrap();
    let engine = Engine::open(project.settings.clone()).await.unwrap();
    let session = engine.session(SessionOptions::default());
    let names = |version: u64| {
        format!(
            "SELECT DISTINCT cluster_id, segment_label FROM segment_history WHERE version = {version} \
             ORDER BY cluster_id"
        )
    };

    let mut version = run(&engine, &project).await.version;
    let first = rows(&session, &names(version)).await;
    assert_eq!(first.len(), 4, "{first:?}");
    for month in LATER {
        let before = version;
        std::fs::copy(repository().join("data/raw/sales").join(month), sales.join(month)).unwrap();
        version = run(&engine, &project).await.version;
        let grew =
            format!("SELECT count(*) > (SELECT count(*) FROM \"@{before}\".fact_sales) FROM fact_sales");
        assert_eq!(rows(&session, &grew).await, ["true"], "{month}");

        // No group lies nearer to where another was than to where it was itself: all keep their names.
        assert_eq!(rows(&session, &names(version)).await, first, "{month}");
        // Customers are called what the load called their groups.
        let sizes = format!(
            "SELECT segment_label, size FROM segment_history WHERE version = {version} AND feature = 'monetary' \
             ORDER BY segment_label"
        );
        let customers = "SELECT segment, count(*) FROM dim_customer WHERE segment <> 'No purchase' \
                         GROUP BY segment ORDER BY segment";
        assert_eq!(rows(&session, customers).await, rows(&session, &sizes).await, "{month}");

        // Those who had bought before: a month's sales, or a month without any, move some of them, not more.
        let changed = format!(
            "SELECT count(*) FILTER (WHERE n.segment <> b.segment), count(*) FROM dim_customer AS n \
             JOIN \"@{before}\".dim_customer AS b ON b.customer_id = n.customer_id \
             WHERE b.segment <> 'No purchase'"
        );
        let counts = rows(&session, &changed).await.remove(0);
        let counts: Vec<u64> = counts.split('|').map(|count| count.parse().unwrap()).collect();
        assert!(counts[0] > 0 && counts[0] * 4 < counts[1], "{month}: {counts:?} changed their segment");
    }

    // By the rules alone one of the groups would have another name by now.
    let fresh =
        "SELECT DISTINCT segment_label FROM cluster((SELECT * FROM rfm()), k => 4) ORDER BY segment_label";
    let kept = format!(
        "SELECT DISTINCT segment_label FROM segment_history WHERE version = {version} ORDER BY segment_label"
    );
    assert_ne!(rows(&session, &kept).await, rows(&session, fresh).await);
}

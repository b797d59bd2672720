//! Whatever dirt the raw files hold, every row is accounted for.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod support;

use std::collections::BTreeSet;

use proptest::prelude::*;
use support::Fixture;

/// A raw row: order number, article, quantity, price.
type Row = (u8, Option<u8>, i8, Option<u16>);

const MODEL: &str = "/*---
key: [id]
dedup: {order_by: \"price\"}
expect:
  - {rule: \"price > 0\", on_fail: quarantine, reason: PRICE}
  - {rule: \"qty > 0\", on_fail: quarantine, reason: QTY}
  - {rule: \"sku NOT IN (SELECT sku FROM banned)\", on_fail: quarantine, reason: BANNED}
  - {rule: \"sku IN (SELECT sku FROM banned) OR sku IN (SELECT sku FROM known)\", on_fail: quarantine, reason: UNKNOWN}
---*/
SELECT id, sku, qty, price, _file, _line FROM raw.sales";

const SETTINGS: &str = "[sources.sales]
path = \"raw/*.csv\"
columns = { id = \"integer\", sku = \"text\", qty = \"integer\", price = \"bigint\" }";

/// What the rows must come to, worked out without SQL: loaded ids, and rows quarantined by each reason.
fn expected(rows: &[Row]) -> (BTreeSet<u8>, [usize; 4], usize) {
    let mut reasons = [0; 4];
    let mut passed = Vec::new();
    for (id, sku, qty, price) in rows {
        let broken = if price.is_none_or(|price| price == 0) {
            Some(0)
        } else if *qty <= 0 {
            Some(1)
        } else if sku.is_none_or(|sku| sku == 0) {
            Some(2)
        } else if sku.is_some_and(|sku| sku > 3) {
            Some(3)
        } else {
            None
        };
        match broken {
            Some(reason) => reasons[reason] += 1,
            None => passed.push(*id),
        }
    }
    let ids: BTreeSet<u8> = passed.iter().copied().collect();
    let duplicates = passed.len() - ids.len();
    (ids, reasons, duplicates)
}

async fn check(files: Vec<Vec<Row>>) {
    let rows: Vec<Row> = files.iter().flatten().copied().collect();
    let shop = Fixture::new(&[
        ("smartsneaks.toml", SETTINGS),
        ("sql/warehouse/sales.sql", MODEL),
        ("sql/warehouse/banned.sql", "SELECT 's0' AS sku UNION ALL SELECT 's0'"),
        ("sql/warehouse/known.sql", "SELECT 's' || CAST(i AS text) AS sku FROM (VALUES (1), (2), (2), (3)) AS v (i) UNION ALL SELECT NULL"),
    ])
    .await;
    for (number, rows) in files.iter().enumerate() {
        let mut text = "id,sku,qty,price\n".to_owned();
        for (id, sku, qty, price) in rows {
            let sku = sku.map_or_else(String::new, |sku| format!("s{sku}"));
            text.push_str(&format!(
                "{id},{sku},{qty},{}\n",
                price.map_or_else(String::new, |price| price.to_string())
            ));
        }
        shop.put(&format!("raw/{number}.csv"), &text);
    }
    let report = shop.run().await.unwrap();
    let model = report.models.iter().find(|model| model.name == "public.sales").unwrap();
    let (ids, reasons, duplicates) = expected(&rows);
    assert_eq!(model.rows_in, rows.len() as u64);
    assert_eq!(model.loaded, ids.len() as u64);
    assert_eq!(model.quarantined, reasons.iter().sum::<usize>() as u64);
    assert_eq!(model.deduplicated, duplicates as u64);
    let loaded = shop.rows("SELECT id FROM sales ORDER BY id").await;
    assert_eq!(loaded, ids.iter().map(u8::to_string).collect::<Vec<_>>());
    for (reason, count) in ["PRICE", "QTY", "BANNED", "UNKNOWN"].iter().zip(reasons) {
        let sql = format!("SELECT count(*) FROM etl.quarantine WHERE reason = '{reason}'");
        assert_eq!(shop.value(&sql).await, count.to_string(), "{reason}");
    }
    let origins = shop
        .value("SELECT count(*) FROM (SELECT DISTINCT source_file, source_line FROM etl.quarantine) q")
        .await;
    assert_eq!(origins, model.quarantined.to_string(), "each from its own line");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 20, ..ProptestConfig::default() })]

    #[test]
    fn counts_add_up(
        files in proptest::collection::vec(
            proptest::collection::vec(
                (0_u8..20, proptest::option::weighted(0.9, 0_u8..6), -1_i8..9, proptest::option::weighted(0.9, 0_u16..300)),
                0..60,
            ),
            1..4,
        )
    ) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(check(files));
    }
}

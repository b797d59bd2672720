//! A run that is killed leaves exactly the old version or exactly the new one, and the next run succeeds.

use crate::project::{Project, text};

const FIGURES: &str = "SELECT (SELECT count(*) FROM fact_sales) AS sales, (SELECT sum(revenue) FROM fact_sales) AS revenue, \
                       (SELECT count(*) FROM sku_city_daily) AS series, (SELECT count(*) FROM etl.runs) AS runs";

/// Every named step of a commit: the process aborts there.
#[test]
fn a_crash_between_any_two_steps_shows_one_version() {
    let project = Project::new();
    assert!(project.run(&["run"]).status.success());
    for point in smartsneaks_lake::crash::POINTS {
        let before = project.ask(FIGURES);
        let number = newest(&project);
        let crashed = project.command(&["run"]).env("SMARTSNEAKS_CRASH_AT", point).output().unwrap();
        assert!(!crashed.status.success(), "{point} was not reached");
        let after = newest(&project);
        if after == number {
            assert_eq!(project.ask(FIGURES), before, "after a crash at {point}");
        } else {
            assert_eq!(after, number + 1, "after a crash at {point}");
            let sales = |figures: &str| figures.rsplit_once(',').map(|(s, _)| s.to_owned());
            assert_eq!(sales(&project.ask(FIGURES)), sales(&before), "after a crash at {point}");
        }
        let next = project.run(&["run"]);
        assert!(next.status.success(), "the run after a crash at {point}: {}", text(&next.stderr));
        assert_eq!(newest(&project), after + 1);
    }
}

fn newest(project: &Project) -> u64 {
    project.ask("SELECT max(version) FROM warehouse.versions").trim().parse().unwrap()
}

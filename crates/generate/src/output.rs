//! The files of a run: written in parallel, each under a temporary name until it is whole.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Sender};

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::Error;
use crate::calendar::Month;
use crate::demand::World;
use crate::options::Options;
use crate::truth::{Counts, Summary};

/// A file that takes long enough to be written on a thread of its own.
enum Job {
    Customers,
    Sales(Month),
}

impl Job {
    fn path(&self) -> String {
        match self {
            Job::Customers => "customers.csv.gz".to_owned(),
            Job::Sales(month) => format!("sales/sales-{}-{:02}.csv.gz", month.year, month.month),
        }
    }
}

enum Message {
    Orders(u64),
    Sales(String, Counts),
    Failed(Error),
}

/// Writes everything and returns what `truth/counts.json` says, which is written last.
pub(crate) fn write_all(
    options: &Options,
    world: &World,
    progress: &mut dyn FnMut(u64),
) -> Result<Summary, Error> {
    let mut jobs = vec![Job::Customers];
    jobs.extend(world.period.months().into_iter().map(Job::Sales));
    let out = &options.out;
    for folder in [out.clone(), out.join("sales"), out.join("truth")] {
        fs::create_dir_all(&folder).map_err(Error::io("create", &folder))?;
    }
    refuse_foreign(&out.join("sales"), &jobs)?;
    // A run that fails must not leave the truth about another one.
    let truth = out.join("truth/counts.json");
    if let Err(error) = fs::remove_file(&truth)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(Error::io("delete", &truth)(error));
    }

    let World { period, places, catalog, promotions, anomalies, stockouts, .. } = world;
    write_file(&out.join("catalog.csv"), |file| catalog.write(period, file))?;
    write_file(&out.join("promotions.csv"), |file| promotions.write(file))?;
    write_file(&out.join("truth/anomalies.csv"), |file| anomalies.write(period, places, file))?;
    write_file(&out.join("truth/stockouts.csv"), |file| stockouts.write(period, places, file))?;
    let (counts, files) = write_jobs(options, world, &jobs, progress)?;

    let summary = Summary {
        seed: world.seed,
        orders: world.orders(),
        days: period.days,
        start: period.first.to_string(),
        end: period.date(i64::from(period.last())).to_string(),
        skus: catalog.products.len() as u64,
        stores: places.stores.len() as u64,
        towns: places.towns.len() as u64,
        customers: world.customers.count(),
        promotions: promotions.all.len() as u64,
        anomalies: anomalies.all.len() as u64,
        stockouts: stockouts.all.len() as u64,
        counts,
        files,
    };
    write_file(&truth, |file| {
        serde_json::to_writer_pretty(&mut *file, &summary)?;
        file.write_all(b"\n")
    })?;
    Ok(summary)
}

/// Monthly files that this run won't overwrite would be read together with its own.
fn refuse_foreign(sales: &Path, jobs: &[Job]) -> Result<(), Error> {
    let ours: BTreeSet<String> = jobs.iter().map(Job::path).collect();
    let mut names = Vec::new();
    for entry in fs::read_dir(sales).map_err(Error::io("read", sales))? {
        names.push(entry.map_err(Error::io("read", sales))?.file_name());
    }
    names.sort();
    let foreign = names.into_iter().find(|name| {
        let name = name.to_string_lossy();
        name.ends_with(".csv.gz") && !ours.contains(&format!("sales/{name}"))
    });
    foreign.map_or(Ok(()), |name| Err(Error::Foreign { path: sales.join(name) }))
}

/// Threads take the next job until none is left or one has failed.
fn write_jobs(
    options: &Options,
    world: &World,
    jobs: &[Job],
    progress: &mut dyn FnMut(u64),
) -> Result<(Counts, BTreeMap<String, u64>), Error> {
    let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let (sender, receiver) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..options.thread_count().min(jobs.len()) {
            let (sender, next, stop) = (sender.clone(), &next, &stop);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) else { break };
                    let message = match run(options, world, job, &sender) {
                        Ok(Some(counts)) => Message::Sales(job.path(), counts),
                        Ok(None) => continue,
                        Err(error) => {
                            stop.store(true, Ordering::Relaxed);
                            Message::Failed(error)
                        }
                    };
                    // The receiver outlives the threads.
                    let _ = sender.send(message);
                }
            });
        }
        drop(sender);
        let (mut counts, mut files, mut failed, mut done) = (Counts::new(), BTreeMap::new(), None, 0);
        for message in receiver {
            match message {
                Message::Orders(orders) => {
                    done += orders;
                    progress(done);
                }
                Message::Sales(path, month) => {
                    files.insert(path, month.raw_rows);
                    counts.merge(&month);
                }
                Message::Failed(error) => failed = failed.or(Some(error)),
            }
        }
        failed.map_or(Ok((counts, files)), Err)
    })
}

fn run(
    options: &Options,
    world: &World,
    job: &Job,
    sender: &Sender<Message>,
) -> Result<Option<Counts>, Error> {
    let level = Compression::new(options.gzip_level);
    let mut counts = None;
    write_file(&options.out.join(job.path()), |file| {
        // The encoder leaves time and system out of the header: the same data is the same bytes.
        let mut gzip = BufWriter::with_capacity(1 << 16, GzEncoder::new(file, level));
        match job {
            Job::Customers => world.customers.write(&world.period, &world.places, &mut gzip)?,
            Job::Sales(month) => {
                let mut progress = |orders| drop(sender.send(Message::Orders(orders)));
                counts = Some(world.write_month(month, &mut gzip, &mut progress)?);
            }
        }
        gzip.into_inner().map_err(io::IntoInnerError::into_error)?.finish().map(drop)
    })?;
    Ok(counts)
}

/// Writes beside the target and renames, so that a file with its right name is whole.
fn write_file(path: &Path, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Error> {
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    let mut file = BufWriter::new(File::create(&part).map_err(Error::io("create", &part))?);
    let whole = fill(&mut file).and_then(|()| file.flush()).map_err(Error::io("write", &part));
    let done = whole.and_then(|()| fs::rename(&part, path).map_err(Error::io("rename", &part)));
    if done.is_err() {
        // The first error is the one to tell.
        let _ = fs::remove_file(&part);
    }
    done
}

//! Photos in a bucket: `s3://…` against a server that speaks as much of S3 as is asked for.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::mpsc;
use std::thread;

use crate::project::{BINARY, repository, text};

const PAGE: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><ListBucketResult><Name>shop</Name><Prefix></Prefix><KeyCount>3</KeyCount>\
    <MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated>KEYS</ListBucketResult>";

/// Answers one request; what it asked for.
fn answer(mut stream: TcpStream, photo: &[u8]) -> Option<String> {
    let mut lines = BufReader::new(stream.try_clone().ok()?).lines();
    let request = lines.next()?.ok()?;
    while !lines.next()?.ok()?.is_empty() {}
    let (kind, body) = if request.contains("list-type=2") {
        let key = |name: &str| {
            format!(
                "<Contents><Key>photos/{name}</Key><LastModified>2026-03-01T10:00:00.000Z</LastModified>\
                 <ETag>&quot;1&quot;</ETag><Size>{}</Size></Contents>",
                photo.len()
            )
        };
        let keys = ["a.jpg", "b.jpg", "notes.txt"].map(key).concat();
        ("200 OK", PAGE.replace("KEYS", &keys).into_bytes())
    } else if request.contains("/shop/photos/a.jpg") || request.contains("/shop/photos/b.jpg") {
        ("200 OK", photo.to_vec())
    } else {
        ("404 Not Found", b"<Error><Code>NoSuchKey</Code></Error>".to_vec())
    };
    let head = format!(
        "HTTP/1.1 {kind}\r\nContent-Length: {}\r\nETag: \"1\"\r\nLast-Modified: Sun, 01 Mar 2026 10:00:00 GMT\r\n\
         Connection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(&body).ok()?;
    Some(request)
}

#[test]
fn photos_are_read_from_a_bucket_and_nowhere_else() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("smartsneaks.toml"), "[images]\nallow = [\"s3://shop/photos\"]\n")
        .unwrap();
    std::fs::create_dir_all(dir.path().join("sql/marts")).unwrap();
    std::fs::write(dir.path().join("sql/marts/one.sql"), "SELECT 1 AS one").unwrap();
    std::os::unix::fs::symlink(repository().join("models"), dir.path().join("models")).unwrap();
    let photo = std::fs::read(repository().join("data/photos/sku1_red.jpg")).unwrap();

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (seen, asked) = mpsc::channel();
    // Ends with the process: nothing joins it.
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            if let Some(request) = answer(stream, &photo)
                && seen.send(request).is_err()
            {
                break;
            }
        }
    });
    let run = |arguments: &[&str]| {
        let mut command = Command::new(BINARY);
        command.args(arguments).current_dir(dir.path()).env("NO_COLOR", "1");
        for (name, value) in [
            ("AWS_ENDPOINT", format!("http://{address}")),
            ("AWS_ALLOW_HTTP", "true".to_owned()),
            ("AWS_SKIP_SIGNATURE", "true".to_owned()),
            ("AWS_REGION", "ap-south-1".to_owned()),
        ] {
            command.env(name, value);
        }
        command.output().unwrap()
    };
    let built = run(&["run"]);
    assert!(built.status.success(), "{}", text(&built.stderr));
    let ask = |image: &str| {
        let sql = format!("SELECT image_id, status FROM authenticate_image({image}, explain => false)");
        let output = run(&["sql", "-c", &sql, "--format", "csv"]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout).lines().skip(1).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(ask("'s3://shop/photos/*.jpg'"), "s3://shop/photos/a.jpg,ok s3://shop/photos/b.jpg,ok");
    assert_eq!(ask("'s3://shop/photos/none.jpg'"), "s3://shop/photos/none.jpg,not_found");
    let asked: Vec<String> = asked.try_iter().collect();
    assert!(asked.iter().any(|request| request.contains("list-type=2")), "{asked:?}");
    // Another bucket, and another folder of this one, are not even asked.
    for place in ["s3://other/photos/a.jpg", "s3://shop/private/a.jpg", "s3://shop/photos/../private/a.jpg"] {
        assert_eq!(ask(&format!("'{place}'")), format!("{place},forbidden"));
    }
}

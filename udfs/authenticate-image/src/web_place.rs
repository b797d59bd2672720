//! URLs: what may stand in one, and whether it lies under a prefix.

use std::net::IpAddr;

use url::{Host, Url};

use crate::address::literal;

/// Reads a URL and refuses forms that two programs may read differently. The error says what to write instead.
pub(crate) fn parse(text: &str) -> Result<Url, &'static str> {
    if text.contains('\\') {
        return Err("expected no backslash in a URL");
    }
    // A key in a bucket may have blanks and isn't decoded.
    let is_bucket = text.starts_with("s3://");
    if text.contains(|c: char| c.is_control() || c.is_whitespace() && !(is_bucket && c == ' ')) {
        return Err("expected no blanks or control characters in a URL; write a blank as %20");
    }
    let url = Url::parse(text).map_err(|_| "expected a URL such as https://host/folder/image.jpg")?;
    if !matches!(url.scheme(), "http" | "https" | "s3") {
        return Err("expected a path, or a URL that begins with http://, https:// or s3://");
    }
    let rest = text.split_once("://").map(|(_, rest)| rest).ok_or("expected // after the scheme")?;
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    if authority.is_empty() {
        return Err("expected a host in the URL");
    }
    if authority.contains('@') {
        return Err("expected no user name or password in a URL");
    }
    if authority.contains('%') {
        return Err("expected a host without percent-encoding");
    }
    let host = authority
        .rsplit_once(':')
        .filter(|(_, port)| !port.contains(']'))
        .map_or(authority, |(host, _)| host);
    // Url reads 2130706433, 0x7f.1 and 0177.0.0.1 as 127.0.0.1; whoever wrote that wanted to hide it.
    if let Some(Host::Ipv4(ip)) = url.host()
        && ip.to_string() != host
    {
        return Err("expected an IPv4 host as four decimal numbers");
    }
    if hides(path.split(['?', '#']).next().unwrap_or_default()) {
        return Err(
            "expected a path without . or .. segments and without encoded dots, slashes or backslashes",
        );
    }
    check(&url)?;
    Ok(url)
}

/// What a URL must meet however it was come by, as by a redirect.
pub(crate) fn check(url: &Url) -> Result<(), &'static str> {
    if !url.username().is_empty() || url.password().is_some() {
        return Err("expected no user name or password in a URL");
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err("expected a host in the URL");
    }
    // Both of these forms reach the IPv4 address on some systems.
    if let Some(IpAddr::V6(ip)) = literal(url)
        && !(ip.is_loopback() || ip.is_unspecified())
        && ip.to_ipv4().is_some()
    {
        return Err("expected an IPv4 host as four decimal numbers, not within an IPv6 address");
    }
    if hides(url.path()) {
        return Err(
            "expected a path without . or .. segments and without encoded dots, slashes or backslashes",
        );
    }
    Ok(())
}

/// Whether a URL lies under a prefix: the same scheme, host and port, and a path that goes on at a slash.
pub(crate) fn within(prefix: &Url, url: &Url) -> bool {
    let same = prefix.scheme() == url.scheme()
        && prefix.host() == url.host()
        && prefix.port_or_known_default() == url.port_or_known_default();
    let path = prefix.path().trim_end_matches('/');
    same && url.path().strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// A URL as people may see it: what follows the path can be a signature that opens doors.
pub(crate) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    url.to_string()
}

/// Whether a path has a part that leads up, or one that would after another round of decoding.
fn hides(path: &str) -> bool {
    let mut path = path.to_ascii_lowercase();
    while path.contains("%25") {
        path = path.replace("%25", "%");
    }
    // Some servers take /..;x/ for /../.
    let up = |segment: &str| matches!(segment.split(';').next(), Some("." | ".."));
    ["%2e", "%2f", "%5c", "%00", "\\"].iter().any(|part| path.contains(part)) || path.split('/').any(up)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_that_hide_are_refused() {
        for text in [
            "file:///etc/passwd",
            "ftp://h/a",
            "gopher://h/a",
            "data:image/png;base64,AA",
            "http:/h/a",
            "http:h/a",
            "https://user:password@h/a",
            "https://user@h/a",
            "https://@h/a",
            "https://h\\@evil/a",
            "https://h/a\\b",
            "https://h/a b",
            "https://h/a\nb",
            "https://h/\0",
            "https://h/../a",
            "https://h/a/./b",
            "https://h/a/%2e%2E/b",
            "https://h/a%2Fb",
            "https://h/a%5cb",
            "https://h/%252e%252e/b",
            "https://h/%25252e/",
            "https://h/..;/a",
            "https://h/a%00.jpg",
            "http://2130706433/a",
            "http://0x7f000001/",
            "http://0177.0.0.1/",
            "http://127.1/",
            "http://0x7f.0.0.1:80/",
            "http://127.0.0.1./",
            "http://１27.0.0.1/",
            "http://[::ffff:127.0.0.1]/",
            "http://[::ffff:7f00:1]:80/",
            "http://[::7f00:1]/",
            "http://%6c/",
            "https:///a",
            "http://h:99999/",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        for text in [
            "https://h/a.jpg?w=../..&at=@",
            "http://127.0.0.1:80/a",
            "http://[2606::1]:80/a%20b",
            "s3://b/k..x",
        ] {
            assert!(parse(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn a_prefix_ends_at_a_slash() {
        let within = |prefix: &str, url: &str| within(&parse(prefix).unwrap(), &parse(url).unwrap());
        assert!(within("https://h/shoes", "https://H:443/shoes/a.jpg?w=1"));
        assert!(within("https://h/shoes/", "https://h/shoes"));
        assert!(within("https://h", "https://h/x"));
        for url in [
            "https://h/shoes2/a",
            "http://h/shoes/a",
            "https://h:8443/shoes/a",
            "https://h.evil/shoes/a",
            "https://h/",
        ] {
            assert!(!within("https://h/shoes", url), "{url}");
        }
        assert_eq!(shown(&parse("https://h/a?sig=secret#x").unwrap()), "https://h/a");
    }
}

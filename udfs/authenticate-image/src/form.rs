//! Bodies that carry an image.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Map, Value};

use crate::remote_spec::RemoteFormat;

/// A request's body and its type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Body {
    pub(crate) content_type: String,
    pub(crate) bytes: Bytes,
}

/// Puts an image into the body that a service wants.
pub(crate) fn body(format: RemoteFormat, field: &str, image: &Bytes, media_type: &str) -> Body {
    // It stands in a line of its own in a form: what is no media type must not begin another one.
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '+' | '-' | '.');
    let is_type = media_type.contains('/') && media_type.chars().all(plain);
    let media_type = if is_type { media_type } else { "application/octet-stream" };
    match format {
        RemoteFormat::Json => {
            let mut object = Map::new();
            object.insert(field.to_owned(), Value::String(STANDARD.encode(image)));
            object.insert("media_type".to_owned(), Value::String(media_type.to_owned()));
            let bytes = Value::Object(object).to_string().into();
            Body { content_type: "application/json".to_owned(), bytes }
        }
        RemoteFormat::Multipart => multipart(field, image, media_type),
    }
}

/// RFC 7578.
fn multipart(field: &str, image: &Bytes, media_type: &str) -> Body {
    let boundary = boundary(image);
    let head = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"{field}\"; filename=\"image\"\r\n\
         Content-Type: {media_type}\r\n\r\n"
    );
    let foot = format!("\r\n--{boundary}--\r\n");
    let mut bytes = Vec::with_capacity(head.len() + image.len() + foot.len());
    for part in [head.as_bytes(), image, foot.as_bytes()] {
        bytes.extend_from_slice(part);
    }
    Body { content_type: format!("multipart/form-data; boundary={boundary}"), bytes: bytes.into() }
}

/// A line that does not stand in the image. Each candidate that does costs the image's maker more bytes, so it ends.
fn boundary(image: &[u8]) -> String {
    const MARK: &[u8] = b"smartsneaks-boundary-";
    let taken: Vec<&[u8]> = image.windows(MARK.len() + 8).filter(|window| window.starts_with(MARK)).collect();
    let mut number = 0_u32;
    loop {
        let boundary = format!("smartsneaks-boundary-{number:08x}");
        if !taken.contains(&boundary.as_bytes()) {
            return boundary;
        }
        number = number.wrapping_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json() {
        let body = body(RemoteFormat::Json, "photo", &Bytes::from_static(&[0xFF, 0xD8]), "image/jpeg");
        let value: Value = serde_json::from_slice(&body.bytes).unwrap();
        assert_eq!(value, serde_json::json!({"photo": "/9g=", "media_type": "image/jpeg"}));
    }

    #[test]
    fn a_boundary_is_not_in_the_image() {
        let image =
            Bytes::from_static(b"\r\n--smartsneaks-boundary-00000000--\r\nsmartsneaks-boundary-00000001");
        let body = body(RemoteFormat::Multipart, "image", &image, "image/png\r\nX: y");
        assert_eq!(body.content_type, "multipart/form-data; boundary=smartsneaks-boundary-00000002");
        let text = String::from_utf8(body.bytes.to_vec()).unwrap();
        assert!(text.contains("Content-Type: application/octet-stream\r\n\r\n\r\n--smartsneaks"), "{text}");
        assert!(text.ends_with("\r\n--smartsneaks-boundary-00000002--\r\n"), "{text}");
    }
}

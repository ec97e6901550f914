//! Percent-encoding, as paths, queries and forms have it.

/// The text behind a percent-encoded one. What is no encoding stands for itself; what is not UTF-8 is replaced.
pub(super) fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let pair = bytes.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        if let Some(byte) = pair.and_then(hex) {
            out.push(byte);
            at += 3;
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    String::from_utf8(out).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned())
}

/// The names and values of a query or form, where `+` is a space too. Empty parts are left out.
pub(super) fn pairs(text: &str) -> Vec<(String, String)> {
    let parts = text.split('&').filter(|part| !part.is_empty());
    parts
        .map(|part| part.split_once('=').unwrap_or((part, "")))
        .map(|(name, value)| (decode(&name.replace('+', " ")), decode(&value.replace('+', " "))))
        .collect()
}

/// A text in which everything but letters, digits, `.`, `_` and `-` is percent-encoded.
pub(super) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"._-".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

fn hex(pair: &[u8]) -> Option<u8> {
    let high = char::from(pair[0]).to_digit(16)?;
    let low = char::from(pair[1]).to_digit(16)?;
    u8::try_from(high * 16 + low).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_encoding_stands_for_itself() {
        for (text, expected) in
            [("a%20b", "a b"), ("%2f%2F", "//"), ("100%", "100%"), ("%zz%4", "%zz%4"), ("%C3%A9", "é")]
        {
            assert_eq!(decode(text), expected);
        }
        assert_eq!(decode("%FF"), "\u{fffd}");
        assert_eq!(decode(&encode("a b/é\r\n\"")), "a b/é\r\n\"");
    }

    #[test]
    fn a_query_as_clients_write_it() {
        let expected = [("$filter", "id eq 'x'"), ("$top", "5"), ("bare", "")];
        let read = pairs("&%24filter=id+eq%20'x'&&$top=5&bare");
        assert_eq!(read.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect::<Vec<_>>(), expected);
        assert_eq!(pairs("a=b=c"), [("a".to_string(), "b=c".to_string())]);
    }
}

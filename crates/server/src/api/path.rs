//! Paths, in the one form in which they are compared: split, decoded, without a version and without a trailing slash.

use super::encoding::decode;

/// The longest path, in bytes.
const PATH_BYTES_MAX: usize = 4096;

/// The segments of a path; `None` for one that is too long to be any of ours.
///
/// Split before it is decoded, so that an encoded slash stays inside its segment. Empty segments fall away: clients
/// write base URLs with and without a slash at their end. `/api/v1.0` is `/api`.
pub(super) fn segments(path: &str) -> Option<Vec<String>> {
    if path.len() > PATH_BYTES_MAX {
        return None;
    }
    let mut segments: Vec<String> = path.split('/').filter(|segment| !segment.is_empty()).map(decode).collect();
    let versioned =
        segments.len() >= 2 && segments[0].eq_ignore_ascii_case("api") && segments[1].eq_ignore_ascii_case("v1.0");
    if versioned {
        segments.remove(1);
    }
    Some(segments)
}

/// The parameters of a path that has this pattern, in order: literals without regard to case, `{name}` for anything.
pub(super) fn matches(pattern: &str, segments: &[String]) -> Option<Vec<String>> {
    let mut params = Vec::new();
    let mut patterns = pattern.split('/').filter(|segment| !segment.is_empty());
    for segment in segments {
        take(patterns.next()?, segment, &mut params)?;
    }
    patterns.next().is_none().then_some(params)
}

/// Adds the parameters of one segment; `None` if it is another segment. A parameter is not empty, and ends where what is
/// behind it in the pattern first comes; the last one goes as far as it can.
fn take(mut pattern: &str, mut segment: &str, params: &mut Vec<String>) -> Option<()> {
    while let Some((before, rest)) = pattern.split_once('{') {
        segment = after(before, segment)?;
        pattern = rest.split_once('}').map_or("", |(_, after)| after);
        let literal = pattern.split_once('{').map_or(pattern, |(literal, _)| literal);
        let end = if literal.len() == pattern.len() {
            segment.len().checked_sub(literal.len()).filter(|end| segment.is_char_boundary(*end))?
        } else {
            (0..segment.len()).find(|at| segment.get(*at..).is_some_and(|rest| after(literal, rest).is_some()))?
        };
        let value = segment.get(..end).filter(|value| !value.is_empty())?;
        params.push(value.to_string());
        segment = &segment[end..];
    }
    pattern.eq_ignore_ascii_case(segment).then_some(())
}

/// What is behind a literal at the beginning.
fn after<'a>(literal: &str, text: &'a str) -> Option<&'a str> {
    let begins = text.get(..literal.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(literal));
    begins.then(|| &text[literal.len()..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(pattern: &str, path: &str) -> Option<Vec<String>> {
        matches(pattern, &segments(path).unwrap())
    }

    #[test]
    fn one_endpoint_however_it_is_written() {
        let pattern = "/api/machines/{id}/isolate";
        for path in [
            "/api/machines/X/isolate",
            "/API/Machines/X/ISOLATE",
            "/api/v1.0/machines/X/isolate/",
            "//api//machines/X/isolate",
            "/%61pi/machines/%58/isolate",
        ] {
            assert_eq!(params(pattern, path), Some(vec!["X".into()]), "{path}");
        }
        for path in ["/api/machines/isolate", "/api/machines/X/isolate/now", "/api/v2.0/machines/X/isolate", "/"] {
            assert_eq!(params(pattern, path), None, "{path}");
        }
        assert_eq!(params(pattern, "/api/machines/a%2Fb/isolate"), Some(vec!["a/b".into()]));
        assert_eq!(segments(&"/x".repeat(PATH_BYTES_MAX)), None);
    }

    #[test]
    fn a_parameter_inside_a_segment() {
        let pattern = "/api/machineactions/{id}/GetResult(index={n})";
        for path in ["/api/machineactions/7/getresult(index=3)", "/api/machineactions/7/GetResult%28INDEX%3D3%29"] {
            assert_eq!(params(pattern, path), Some(vec!["7".into(), "3".into()]), "{path}");
        }
        for path in ["/api/machineactions/7/GetResult(index=)", "/api/machineactions/7/GetResult(index=3", "/é"] {
            assert_eq!(params(pattern, path), None, "{path}");
        }
        let pattern = "/find(ip='{ip}',timestamp={t})";
        for path in ["/FIND(ip='1',timestamp=2)", "/find(IP=%271%27%2Ctimestamp%3D2%29"] {
            assert_eq!(params(pattern, path), Some(vec!["1".into(), "2".into()]), "{path}");
        }
        assert_eq!(
            params(pattern, "/find(ip='é',timestamp=',timestamp=)"),
            Some(vec!["é".into(), "',timestamp=".into()])
        );
        for path in ["/find(ip='',timestamp=2)", "/find(ip='1',timestamp=)", "/find(ip='1')", "/find(ip='é", "/find"] {
            assert_eq!(params(pattern, path), None, "{path}");
        }
    }
}

//! Pages: how much of a list is one answer, and the link to the rest.

use super::{Options, place};
use crate::actions::Position;
use crate::api::call::Call;
use axum::http::header::{HeaderName, HeaderValue};
use axum::response::Response;

/// The most items of one answer, as documented.
pub(in crate::api) const TOP_MAX: u32 = 10_000;

/// How much of a list goes into an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::api) struct Page {
    /// At most so many items.
    items: u32,
    /// Whether the list may go on behind them, and a link to it is owed. Who asks for so many at most, and gets them, is
    /// owed none.
    goes_on: bool,
    /// Whether the client asked for pages of this size.
    preferred: bool,
}

impl Page {
    /// The page that a call is answered with.
    pub(in crate::api) fn of(call: &Call, options: &Options) -> Self {
        let preferred = call.headers.get_all("prefer").iter().find_map(|header| preferred_size(header.to_str().ok()?));
        let size = preferred.unwrap_or(TOP_MAX);
        match options.top {
            Some(top) if top <= size => Self { items: top, goes_on: false, preferred: preferred.is_some() },
            _ => Self { items: size, goes_on: true, preferred: preferred.is_some() },
        }
    }

    /// How many rows to fetch: one more than is shown tells whether there is more.
    pub(in crate::api) fn limit(self) -> u32 {
        self.items + u32::from(self.goes_on)
    }

    /// Cuts what was fetched to the page. True: there is more.
    pub(in crate::api) fn cut<T>(self, found: &mut Vec<T>) -> bool {
        let items = usize::try_from(self.items).unwrap_or(usize::MAX);
        let more = self.goes_on && found.len() > items;
        found.truncate(items);
        more
    }

    /// The link to what comes after a place: what was asked for, less what has been given.
    pub(in crate::api) fn next_link(self, call: &Call, path: &str, options: &Options, place: &Position) -> String {
        let mut link = format!("{}{path}?", call.base_url);
        for (name, value) in call.query.iter().filter(|(name, _)| name.starts_with('$')) {
            let name = name.to_ascii_lowercase();
            if !["$top", "$skip", "$skiptoken"].contains(&name.as_str()) {
                link.push_str(&format!("{name}={}&", encoded(value)));
            }
        }
        if let Some(top) = options.top {
            link.push_str(&format!("$top={}&", top.saturating_sub(self.items)));
        }
        link.push_str("$skiptoken=");
        link.push_str(&place::show(place));
        link
    }

    /// Says that the preference was followed, if there was one.
    pub(in crate::api) fn confirm(self, response: &mut Response) {
        let Some(size) = Some(self.items).filter(|_| self.preferred) else { return };
        if let Ok(value) = HeaderValue::try_from(format!("odata.maxpagesize={size}")) {
            response.headers_mut().insert(HeaderName::from_static("preference-applied"), value);
        }
    }
}

/// The size of pages that a `Prefer` header asks for. One that makes no sense is ignored, as preferences may be.
fn preferred_size(header: &str) -> Option<u32> {
    header.split([',', ';']).find_map(|preference| {
        let (name, size) = preference.split_once('=')?;
        let name = name.trim().to_ascii_lowercase();
        let size: u32 = size.trim().trim_matches('"').parse().ok().filter(|size| *size > 0)?;
        ["odata.maxpagesize", "maxpagesize"].contains(&name.as_str()).then_some(size.min(TOP_MAX))
    })
}

/// A value of a query. No longer than it need be: a link may not be longer than a request can be.
fn encoded(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b' ' => out.push('+'),
            _ if byte.is_ascii_alphanumeric() || b"-._~'(),:/@!*$".contains(&byte) => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

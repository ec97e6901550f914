//! Where the server is, and which addresses a token may be sent to.

use super::error::ClientError;
use reqwest::Url;
use std::net::IpAddr;

/// The base URL of the API.
#[derive(Clone, Debug)]
pub(super) struct Base {
    url: Url,
}

impl Base {
    /// Reads it. Plain HTTP is for this computer only: a token on a network in the clear is everybody's token.
    pub(super) fn parse(text: &str) -> Result<Self, ClientError> {
        let url = Url::parse(text.trim_end_matches('/'))
            .map_err(|error| ClientError::Config(format!("{text} is not a URL: {error}")))?;
        check_transport(&url)?;
        if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
            return Err(ClientError::Config("the URL may have a host, a port and a path, nothing else".into()));
        }
        Ok(Self { url })
    }

    /// The address of these path segments below the base, each encoded.
    pub(super) fn join(&self, segments: &[&str]) -> Result<Url, ClientError> {
        let mut url = self.url.clone();
        {
            let mut path =
                url.path_segments_mut().map_err(|()| ClientError::Config("the URL has no place for a path".into()))?;
            path.pop_if_empty();
            for segment in segments {
                // The URL standard drops these: the request would go to another route.
                if matches!(*segment, "" | "." | "..") {
                    return Err(ClientError::Config(format!("{segment:?} is not an id or a name")));
                }
                path.push(segment);
            }
        }
        Ok(url)
    }

    /// An address that the server gave (a next page), if the token may go there.
    pub(super) fn own(&self, link: &str) -> Result<Url, ClientError> {
        let url = Url::parse(link).map_err(|error| ClientError::Answer(format!("unusable link {link}: {error}")))?;
        if url.origin() == self.url.origin() {
            return Ok(url);
        }
        Err(ClientError::Answer(format!(
            "the server's link {link} leads away from {}; use the base URL that the server itself is set to",
            self.url
        )))
    }

    /// The scope to ask a token for.
    pub(super) fn scope(&self) -> String {
        format!("{}/.default", self.url.as_str().trim_end_matches('/'))
    }

    /// Whether it is plain HTTP on this computer.
    pub(super) fn is_plain(&self) -> bool {
        self.url.scheme() == "http"
    }
}

/// Accepts HTTPS anywhere and HTTP on this computer.
pub(super) fn check_transport(url: &Url) -> Result<(), ClientError> {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    let is_loopback = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
    match url.scheme() {
        "https" => Ok(()),
        "http" if is_loopback => Ok(()),
        "http" => Err(ClientError::Config(format!(
            "{url} is plain HTTP, which is allowed for loopback addresses only; use https"
        ))),
        other => Err(ClientError::Config(format!("{url} has the scheme {other}; use https"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_loopback_only() {
        for good in ["https://control.example", "http://127.0.0.1:80", "http://[::1]:8443/", "http://localhost/x"] {
            assert!(Base::parse(good).is_ok(), "{good}");
        }
        for bad in ["http://control.example", "http://10.0.0.1", "ftp://localhost", "http://127.0.0.1.example", "x"] {
            assert!(Base::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_segment_cannot_leave_its_route() {
        let base = Base::parse("https://control.example/prefix/").unwrap();
        let url = base.join(&["api", "machineactions", "../x?y#z"]).unwrap();
        assert_eq!(url.as_str(), "https://control.example/prefix/api/machineactions/..%2Fx%3Fy%23z");
        for dropped in ["", ".", ".."] {
            assert!(base.join(&["api", "machineactions", dropped]).is_err());
        }
        assert_eq!(base.scope(), "https://control.example/prefix/.default");
    }

    #[test]
    fn a_link_that_leads_elsewhere_is_not_followed() {
        let base = Base::parse("https://control.example").unwrap();
        assert!(base.own("https://control.example/api/machines?$skip=10").is_ok());
        assert!(base.own("https://control.example:8443/api/machines").is_err());
        assert!(base.own("http://control.example/api/machines").is_err());
        assert!(base.own("//other.example").is_err());
    }
}

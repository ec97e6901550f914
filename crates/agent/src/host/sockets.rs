//! Cutting connections that were open before the machine was isolated.

use std::net::SocketAddr;
use std::process::Stdio;

use super::tool::tell;
use super::{Cut, HostError};

/// Closes every connection but those to this machine itself and to `keep`, by asking the kernel socket by socket.
///
/// A kernel without that ability is not an error: the packet filter silences such a connection anyway, only its
/// owner learns of it later. [`Cut::left`] says so.
pub(super) fn cut_connections(keep: &[SocketAddr]) -> Result<Cut, HostError> {
    let filter = filter(keep);
    let args = |leading: &[&'static str]| -> Vec<String> {
        leading.iter().map(|word| (*word).to_owned()).chain(filter.iter().cloned()).collect()
    };
    // ss prints those that it closed and passes over those that it could not close.
    let closed = lines(&args(&["-K", "-H", "-n", "-t", "-u"]))?;
    let left = lines(&args(&["-H", "-n", "-t", "-u"]))?;
    Ok(Cut { closed, left })
}

fn lines(args: &[String]) -> Result<usize, HostError> {
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    Ok(tell("ss", &args, Stdio::null())?.lines().filter(|line| !line.trim().is_empty()).count())
}

/// `ss` joins its arguments to one expression: states first, then conditions.
fn filter(keep: &[SocketAddr]) -> Vec<String> {
    let mut words: Vec<String> = ["state", "connected", "exclude", "time-wait"].map(str::to_owned).into();
    let kept = keep.iter().map(|address| SocketAddr::new(address.ip().to_canonical(), address.port()).to_string());
    let spared = ["127.0.0.0/8".to_owned(), "[::1]".to_owned()].into_iter().chain(kept);
    for (index, address) in spared.enumerate() {
        if index > 0 {
            words.push("and".to_owned());
        }
        words.extend(["not".to_owned(), "dst".to_owned(), address]);
    }
    words
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_filter_spares_loopback_and_the_kept() {
        let words = super::filter(&["10.0.0.1:443".parse().unwrap(), "[fd00::1]:8443".parse().unwrap()]);
        assert_eq!(
            words.join(" "),
            "state connected exclude time-wait not dst 127.0.0.0/8 and not dst [::1] \
             and not dst 10.0.0.1:443 and not dst [fd00::1]:8443"
        );
    }
}

//! What a person sees.

use super::tools::Found;
use crate::client::{Client, History};
use crate::fleet::Fleet;
use crate::output::escaped;
use crate::stage::Rights;
use std::path::Path;
use std::time::Duration;

pub(super) fn opening(found: &Found) {
    println!("Countermand demo: launch response actions on machines, and take them back.\n");
    match found.rights {
        Rights::Root => println!(
            "A server and four agents start as processes of their own, each machine in a network\n\
             namespace. The network of this machine is not touched."
        ),
        Rights::UserNamespace => println!(
            "Without root, in a user namespace: a server and four agents start as processes of\n\
             their own, each machine in a network namespace. Left out: control groups (processes\n\
             are held by their PID namespace alone)."
        ),
    }
}

pub(super) fn enrolled() {
    println!("Enrolled, each with a key made on the machine: {}.", super::MACHINES.join(", "));
}

pub(super) fn scene(letter: &str, title: &str) {
    println!("\n{letter}) {title}");
}

pub(super) fn say(text: &str) {
    println!("   {text}");
}

pub(super) fn left_out(letter: &str, what: &str) {
    println!("\n{letter}) Left out: {what}.");
}

/// The history of an action: when, who attests it, what, and the status the API showed.
pub(super) async fn history(client: &Client, id: &str) -> anyhow::Result<()> {
    let History { lines, verified, .. } = client.history(id).await?.item;
    println!("   history of {id}:");
    for line in lines {
        let time = line.at.split('T').nth(1).unwrap_or(&line.at).trim_end_matches('Z').to_string();
        let time = format!("{time:0<16}");
        let status = line.status.unwrap_or_default();
        println!("     {} {:<8} {:<11} {}", &time[..12], line.source, status, escaped(&line.what));
    }
    anyhow::ensure!(verified == Some(true), "the history's hash chain does not hold");
    Ok(())
}

pub(super) fn failed(e: &anyhow::Error, fleet: &Fleet) {
    eprintln!("\nNot as told: {e:#}");
    for name in std::iter::once("server").chain(super::MACHINES) {
        let log = std::fs::read_to_string(fleet.log(name)).unwrap_or_default();
        let tail: Vec<&str> = log.lines().rev().take(15).collect();
        eprintln!("--- the end of {name}'s log");
        for line in tail.iter().rev() {
            eprintln!("{line}");
        }
    }
}

pub(super) fn kept(fleet: &Fleet) {
    let app = fleet.app();
    println!("\nServer and agents go on until Ctrl-C. In another terminal:\n");
    println!("  export COUNTERMAND_URL={}", fleet.url());
    println!("  export COUNTERMAND_CA_FILE={}", fleet.ca_file().display());
    println!("  export COUNTERMAND_TENANT={}", app.tenant);
    println!("  export COUNTERMAND_CLIENT_ID={}", app.client_id);
    println!("  export COUNTERMAND_CLIENT_SECRET={}", app.client_secret);
    let program = std::env::current_exe().unwrap_or_else(|_| "countermand".into());
    let program = program.display();
    println!("\n  {program} machines list");
    println!("  {program} isolate db-03 --comment 'trying out'");
    println!("  {program} actions list");
    println!("  {program} actions cancel ID --comment 'by mistake'");
    println!("\n  TOKEN=$({program} token)");
    println!("  curl --cacert $COUNTERMAND_CA_FILE -H \"Authorization: Bearer $TOKEN\" \\");
    println!("    $COUNTERMAND_URL/api/machineactions");
}

pub(super) fn closing(took: Duration, found: &Found, data_dir: Option<&Path>) {
    let scenes = if found.packet_filter { "All four scenes" } else { "Three of four scenes" };
    println!("\n{scenes} ended as told, in {:.1} s. No process, namespace or table is left.", took.as_secs_f64());
    if let Some(dir) = data_dir {
        println!("Store, keys and logs are in {}.", dir.display());
    }
}

/// A length of time in milliseconds.
pub(super) fn ms(length: Duration) -> String {
    format!("{:.1} ms", length.as_secs_f64() * 1000.0)
}

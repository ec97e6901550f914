//! Isolation against a real kernel, each test in networks of its own.

mod rig;

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use agent::host::{Host, IsolationPolicy};
use rig::{Net, OTHERS, OURS, Rig, SERVER, at, cabled, connect, connect_from, echoes, listen, nft, servers};

fn policy(mark: &str) -> IsolationPolicy {
    IsolationPolicy { mark: mark.to_owned(), allow: servers() }
}

#[test]
fn an_isolated_machine_reaches_the_server_and_nobody_else() {
    let (ours, _theirs) = cabled();
    ours.run(|| {
        let rig = Rig::new();
        let local = listen("127.0.0.1:0");
        let local6 = listen("[::1]:0");
        rig.host.isolate(&policy("a-1")).unwrap();
        assert_eq!(rig.host.isolation().unwrap().unwrap().mark, "a-1");
        for address in SERVER {
            assert!(echoes(&connect(address).unwrap()), "{address}");
        }
        for address in OTHERS {
            assert_eq!(connect(address).unwrap_err().kind(), ErrorKind::ConnectionRefused, "{address}");
        }
        for address in [local, local6] {
            assert!(echoes(&connect(&address.to_string()).unwrap()), "{address}");
        }
        for (from, to) in [("0.0.0.0:0", "10.77.0.1:53"), ("[::]:0", "[fd77::9]:53")] {
            let socket = UdpSocket::bind(from).unwrap();
            socket.connect(to).unwrap();
            let sent = socket.send(b"?").and_then(|_| socket.recv(&mut [0]));
            assert!(sent.is_err(), "{to} is open");
        }
    });
}

#[test]
fn nobody_gets_in_not_even_from_the_servers_own_port() {
    const SERVER_PORT: &str = "10.77.0.1:8445";
    let (ours, theirs) = cabled();
    ours.run(|| OURS.map(|address| listen(&at(address, 7000))));
    theirs.run(|| connect_from(SERVER_PORT, &at(OURS[0], 7000)).unwrap());
    let rig = ours.run(|| {
        let rig = Rig::new();
        let allow = vec![SERVER_PORT.parse().unwrap()];
        rig.host.isolate(&IsolationPolicy { mark: "a-1".to_owned(), allow }).unwrap();
        rig
    });
    theirs.run(|| {
        for address in OURS {
            assert_eq!(connect(&at(address, 7000)).unwrap_err().kind(), ErrorKind::TimedOut, "{address}");
        }
        // Whoever has the server's address and port still has no connection that began on the machine.
        let refused = connect_from(SERVER_PORT, &at(OURS[0], 7000)).unwrap_err();
        assert!(
            matches!(refused.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
                || refused.raw_os_error() == Some(115),
            "{refused}"
        );
    });
    drop(rig);
}

#[test]
fn what_was_open_is_cut_and_the_servers_connection_lives() {
    let (ours, theirs) = cabled();
    let listener = ours.run(|| TcpListener::bind("[::]:7000").unwrap());
    let outside = theirs.run(|| OURS.map(|address| connect(&at(address, 7000)).unwrap()));
    let inbound: Vec<TcpStream> = outside.iter().map(|_| listener.accept().unwrap().0).collect();
    ours.run(move || {
        let rig = Rig::new();
        let server: Vec<TcpStream> = SERVER.iter().map(|address| connect(address).unwrap()).collect();
        let others: Vec<TcpStream> = OTHERS.iter().map(|address| connect(address).unwrap()).collect();
        assert!(server.iter().chain(&others).all(echoes));
        rig.host.isolate(&policy("a-1")).unwrap();
        let cut = rig.host.cut_connections(&servers()).unwrap();
        assert_eq!((cut.closed >= others.len() + inbound.len(), cut.left), (true, 0), "{cut:?}");
        assert!(server.iter().all(echoes), "the server's connection broke");
        for mut stream in others.iter().chain(&inbound) {
            // An end or an error at once; a connection that lives would make this wait.
            assert!(!matches!(stream.read(&mut [0]), Ok(1)), "{stream:?}");
            assert!(!echoes(stream), "{stream:?} lives");
        }
    });
}

#[test]
fn lifting_gives_everything_back_twice_is_once_and_foreign_tables_stay() {
    let (ours, _theirs) = cabled();
    ours.run(|| {
        let rig = Rig::new();
        nft("add table inet foreign; add chain inet foreign c { type filter hook output priority 0; policy accept; }");
        let foreign = nft("list table inet foreign");
        rig.host.lift_isolation().unwrap();
        rig.host.isolate(&policy("a-1")).unwrap();
        rig.host.isolate(&policy("a-2")).unwrap();
        assert_eq!(rig.host.isolation().unwrap().unwrap().mark, "a-2");
        for _ in 0..2 {
            rig.host.lift_isolation().unwrap();
            assert_eq!(rig.host.isolation().unwrap(), None);
            assert!(OTHERS.iter().all(|address| echoes(&connect(address).unwrap())));
        }
        assert_eq!(nft("list table inet foreign"), foreign);
    });
}

#[test]
fn a_saved_table_comes_back_as_it_was() {
    let (ours, _theirs) = cabled();
    ours.run(|| {
        let rig = Rig::new();
        rig.host.isolate(&policy("a-1")).unwrap();
        let saved = rig.host.isolation().unwrap().unwrap();
        rig.host.lift_isolation().unwrap();
        for _ in 0..2 {
            rig.host.restore_isolation(&saved.text).unwrap();
            assert_eq!(rig.host.isolation().unwrap(), Some(saved.clone()));
        }
        assert!(echoes(&connect(SERVER[0]).unwrap()));
        assert!(connect(OTHERS[0]).is_err());
        assert!(rig.host.restore_isolation("table inet countermand {\n nonsense\n}\n").is_err());
        assert_eq!(rig.host.isolation().unwrap(), Some(saved), "a bad table must leave the old one whole");
    });
}

#[test]
fn nothing_gets_through_while_the_table_is_replaced() {
    let (ours, _theirs) = cabled();
    ours.run(|| {
        let rig = Rig::new();
        rig.host.isolate(&policy("a-1")).unwrap();
        let over = Arc::new(AtomicBool::new(false));
        let through = Arc::new(AtomicUsize::new(0));
        let hammers: Vec<_> = OTHERS[..2]
            .iter()
            .map(|address| {
                let (over, through) = (over.clone(), through.clone());
                thread::spawn(move || {
                    let mut tried = 0_usize;
                    while !over.load(Ordering::Relaxed) {
                        tried += 1;
                        through.fetch_add(usize::from(connect(address).is_ok()), Ordering::Relaxed);
                    }
                    tried
                })
            })
            .collect();
        for round in 0..100 {
            rig.host.isolate(&policy(&format!("a-{round}"))).unwrap();
        }
        over.store(true, Ordering::Relaxed);
        let tried: usize = hammers.into_iter().map(|hammer| hammer.join().unwrap()).sum();
        assert!(tried > 100, "only {tried} tries");
        assert_eq!(through.load(Ordering::Relaxed), 0, "of {tried}");
    });
}

#[test]
fn a_successor_waits_for_the_nft_that_a_dead_agent_left_at_work() {
    let ours = Net::new();
    ours.run(|| {
        let rig = Rig::new();
        rig.host.isolate(&policy("a-1")).unwrap();
        // The file as the other nft would hold it.
        let turn = File::open(rig.path("nftables.turn")).unwrap();
        turn.lock().unwrap();
        thread::scope(|scope| {
            let (done, lifted) = channel();
            let host = &rig.host;
            scope.spawn(move || done.send(host.lift_isolation()).unwrap());
            assert!(lifted.recv_timeout(Duration::from_millis(300)).is_err(), "it did not wait");
            drop(turn);
            lifted.recv().unwrap().unwrap();
        });
        assert_eq!(rig.host.isolation().unwrap(), None);
    });
}

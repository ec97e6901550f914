//! On every run: each seed of each target, each input that fuzzing kept, and the same changed seeds as on every other run. What a change can break is
//! seen here within seconds; the fuzzer (`cargo xtask fuzz`) looks further, for as long as it is given.

use hostile::{Target, changed, target};

/// How many changed seeds a cheap target is given.
const ROUNDS: usize = 4000;

fn every_time(name: &str) {
    let door = *target(name).expect("a target");
    let Target { check, seeds, cost, .. } = door;
    for (number, kept) in door.kept().iter().enumerate() {
        told(name, &format!("line {} of its corpus", number + 1), kept, || check(kept));
    }
    let seeds = seeds();
    for (number, seed) in seeds.iter().enumerate() {
        told(name, &format!("seed {number}"), seed, || check(seed));
    }
    for round in 0..ROUNDS / cost {
        let (seed, other) = (&seeds[round % seeds.len()], &seeds[round / seeds.len() % seeds.len()]);
        let bytes = changed(seed, other, round as u64);
        told(name, &format!("round {round}"), &bytes, || check(&bytes));
    }
}

/// Shows the bytes that something does not hold for.
fn told(name: &str, which: &str, bytes: &[u8], check: impl Fn() + std::panic::UnwindSafe) {
    if let Err(panic) = std::panic::catch_unwind(check) {
        eprintln!("{name}, {which}: {:?}", bytes.escape_ascii().to_string());
        std::panic::resume_unwind(panic);
    }
}

#[test]
fn a_corpus_is_whole_lines_of_hexadecimal_digits() {
    for target in &hostile::TARGETS {
        for (number, (line, bytes)) in target.corpus.lines().zip(target.kept()).enumerate() {
            let written: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(line, written, "{}, line {}", target.name, number + 1);
        }
    }
}

macro_rules! targets {
    ($($test:ident = $name:literal),* $(,)?) => {
        $(
            #[test]
            fn $test() {
                every_time($name);
            }
        )*

        #[test]
        fn no_target_is_left_out() {
            let tested = [$($name),*];
            assert_eq!(hostile::TARGETS.map(|target| target.name), tested);
        }
    };
}

targets! {
    frames = "frames",
    hello = "hello",
    talk = "talk",
    engines = "engines",
    worker = "worker",
    journal = "journal",
    bodies = "bodies",
    odata = "odata",
    ids = "ids",
    api = "api",
    tokens = "tokens",
    keys = "keys",
    links = "links",
    enrol = "enrol",
    sign_in = "sign-in",
    audit = "audit",
}

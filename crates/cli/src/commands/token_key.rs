//! `countermand token-key`: the keys that the server's tokens are signed with. On the server's own machine, with its data
//! directory; a running server follows within seconds.

use clap::{Args, Subcommand};
use server::admin;
use server::clock::{Clock as _, SystemClock};
use server::config::TokensConfig;
use server::tokens::rotation::{self as token_keys, TokenKeyRow, TokenKeyState};
use std::path::PathBuf;

/// A month, in minutes: nobody means to wait longer.
const AFTER_MINUTES_MAX: i64 = 31 * 24 * 60;

/// The keys that the server's tokens are signed with
///
/// A new key is published at once and signs later, so that whoever reads the published keys has it in time. The old one
/// verifies until every token by it has expired. Nobody has to sign in again, and the server runs on.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  countermand token-key rotate\n  countermand token-key list\n\nIf a key was stolen:\n  countermand token-key rotate --after-minutes 0\n  countermand token-key remove KEY-ID"
)]
pub struct TokenKeyArgs {
    #[command(subcommand)]
    command: TokenKeyCommand,
}

#[derive(Debug, Subcommand)]
enum TokenKeyCommand {
    /// Add a key, and take away those that no valid token needs any more
    Rotate {
        /// When the new key begins to sign, in minutes from now.
        #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(0..=AFTER_MINUTES_MAX))]
        after_minutes: u32,
        #[command(flatten)]
        place: Place,
    },
    /// List the keys and what each is for
    List {
        #[command(flatten)]
        place: Place,
    },
    /// Take a key away at once: every token by it is refused
    Remove {
        /// The key's id.
        id: String,
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Args, Debug)]
struct Place {
    /// The server's data directory.
    #[arg(long, env = "COUNTERMAND_DATA_DIR", default_value = "/var/lib/countermand")]
    data_dir: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl TokenKeyArgs {
    /// Does it, and shows the keys as they then are.
    ///
    /// # Errors
    /// No such key, too many, the only one; the files.
    pub async fn run(self) -> anyhow::Result<()> {
        let (now, lifetime) = (SystemClock.now(), TokensConfig::default().lifetime_seconds);
        let place = match self.command {
            TokenKeyCommand::Rotate { after_minutes, place } => {
                admin::rotate_token_key(&place.data_dir, lifetime, after_minutes * 60, now).await?;
                place
            }
            TokenKeyCommand::List { place } => place,
            TokenKeyCommand::Remove { id, place } => {
                admin::remove_token_key(&place.data_dir, &id, now).await?;
                place
            }
        };
        show(token_keys::list(&place.data_dir, lifetime, now)?, place.json);
        Ok(())
    }
}

fn show(rows: Vec<TokenKeyRow>, json: bool) {
    for TokenKeyRow { id, state, signs_from } in rows {
        let (word, meaning) = words(state);
        if json {
            println!("{}", serde_json::json!({ "id": id, "state": word, "signsFrom": signs_from }));
        } else {
            let from = signs_from.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
            let from = from.map_or("the beginning".to_string(), |from| from.to_string());
            println!("{id}  {word:<8}  signs from {from}  ({meaning})");
        }
    }
}

fn words(state: TokenKeyState) -> (&'static str, &'static str) {
    match state {
        TokenKeyState::Waits => ("waits", "published, will sign"),
        TokenKeyState::Signs => ("signs", "new tokens are signed with it"),
        TokenKeyState::Verifies => ("verifies", "tokens by it are still taken"),
        TokenKeyState::Retired => ("retired", "no token needs it; the next rotate takes it away"),
    }
}

//! `token`: a bearer token for other programs.

use super::Done;
use crate::client::Client;
use crate::exit::Exit;
use crate::output::Output;
use serde_json::json;

/// Prints a bearer token.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  curl --cacert ca.pem -H \"Authorization: Bearer $(countermand token)\" \\\n    \
                        \"$COUNTERMAND_URL/api/machineactions\"\n\nWhoever has the token can act as you until it ends.")]
pub struct TokenArgs {}

impl TokenArgs {
    /// Runs it.
    pub async fn run(self, client: &Client, output: Output) -> Done {
        let token = client.bearer_token().await?;
        output.line(&token);
        output.item(&json!({ "token_type": "Bearer", "access_token": token }));
        Ok(Exit::Ok)
    }
}

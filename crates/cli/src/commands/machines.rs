//! `machines list` and `machines show`.

use super::Done;
use crate::client::{Client, MachineFilter};
use crate::exit::Exit;
use crate::output::{Output, instant};
use protocol::defender::machine::MachineEntity;

/// How many machines `list` shows if nothing else is said.
const TOP_DEFAULT: u32 = 1_000;

/// What to do with machines.
#[derive(Debug, clap::Subcommand)]
pub enum MachinesCommand {
    /// List the enrolled machines
    #[command(after_help = "Example:\n  countermand machines list\n  countermand machines list --name web-03 -o json")]
    List(ListArgs),
    /// Show one machine
    #[command(after_help = "Example:\n  countermand machines show web-03")]
    Show {
        /// The machine's id or name
        machine: String,
    },
}

/// Which machines to list.
#[derive(Debug, clap::Args)]
pub struct ListArgs {
    /// Only machines with exactly this name
    #[arg(long)]
    name: Option<String>,
    /// At most so many
    #[arg(long, value_name = "COUNT", default_value_t = TOP_DEFAULT, value_parser = clap::value_parser!(u32).range(1..))]
    top: u32,
}

impl MachinesCommand {
    /// Runs it.
    pub async fn run(self, client: &Client, output: Output) -> Done {
        match self {
            Self::List(args) => list(args, client, output).await,
            Self::Show { machine } => show(&machine, client, output).await,
        }
    }
}

async fn list(args: ListArgs, client: &Client, output: Output) -> Done {
    let machines = client.machines(&MachineFilter { name: args.name, id: None }, args.top as usize).await?;
    output.list(&machines.json);
    let row = |machine: &MachineEntity| {
        vec![
            machine.id.clone(),
            machine.computer_dns_name.clone(),
            machine.health_status.clone(),
            instant(&machine.last_seen),
            format!("{} {}", machine.os_platform, machine.version),
            machine.agent_version.clone(),
        ]
    };
    let header = ["ID", "NAME", "HEALTH", "LAST SEEN (UTC)", "SYSTEM", "AGENT"];
    output.table(&header, machines.item.iter().map(row).collect());
    super::say_if_cut(machines.item.len(), args.top);
    Ok(Exit::Ok)
}

async fn show(machine: &str, client: &Client, output: Output) -> Done {
    let machine = client.find_machine(machine).await?;
    output.item(&machine.json);
    let machine = machine.item;
    let pair = |name: &str, value: String| vec![name.to_string(), value];
    output.table(
        &[],
        vec![
            pair("Id", machine.id),
            pair("Name", machine.computer_dns_name),
            pair("Health", machine.health_status),
            pair("Onboarding", machine.onboarding_status),
            pair("First seen (UTC)", instant(&machine.first_seen)),
            pair("Last seen (UTC)", instant(&machine.last_seen)),
            pair("System", format!("{} {}", machine.os_platform, machine.version)),
            pair("Address", machine.last_ip_address.unwrap_or_default()),
            pair("Agent", machine.agent_version),
            pair("Tags", machine.machine_tags.join(", ")),
        ],
    );
    Ok(Exit::Ok)
}

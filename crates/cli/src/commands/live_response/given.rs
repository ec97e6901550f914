//! The commands as they were written on the command line. Read by hand, because which `--args` belongs to which `--run`
//! is told by their places only.

use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgGroup, ArgMatches, Args, FromArgMatches};
use protocol::defender::action::{CommandWords, Param};

/// The commands of one live response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct GivenCommands {
    puts: Vec<String>,
    runs: Vec<Run>,
    gets: Vec<String>,
}

/// A script, with its arguments as one string.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Run {
    script: String,
    args: Option<String>,
}

impl GivenCommands {
    /// In the order the API asks for: PutFile, RunScript, GetFile.
    pub(super) fn in_order(&self) -> Vec<CommandWords> {
        let puts = self.puts.iter().map(|name| words("PutFile", vec![param("FileName", name)]));
        let runs = self.runs.iter().map(|run| {
            let script = param("ScriptName", &run.script);
            words("RunScript", [script].into_iter().chain(run.args.iter().map(|args| param("Args", args))).collect())
        });
        let gets = self.gets.iter().map(|path| words("GetFile", vec![param("Path", path)]));
        puts.chain(runs).chain(gets).collect()
    }
}

impl Args for GivenCommands {
    fn augment_args(command: clap::Command) -> clap::Command {
        let repeated = |id: &'static str, name: &'static str, help: &'static str| {
            Arg::new(id).long(id).value_name(name).help(help).action(ArgAction::Append)
        };
        command
            .arg(repeated("put", "NAME", "Put this library file on the machine (repeatable)"))
            .arg(repeated("run", "SCRIPT", "Run this library script (repeatable)"))
            .arg(
                repeated("args", "ARGUMENTS", "Arguments of the --run before it, as one string; no shell reads it")
                    .allow_hyphen_values(true),
            )
            .arg(repeated("get", "PATH", "Get this file from the machine, by absolute path (repeatable)"))
            .group(ArgGroup::new("commands").args(["put", "run", "get"]).multiple(true).required(true))
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for GivenCommands {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let placed = |id: &str| -> Vec<(usize, String)> {
            let places = matches.indices_of(id).into_iter().flatten();
            places.zip(matches.get_many::<String>(id).into_iter().flatten().cloned()).collect()
        };
        let values = |id: &str| placed(id).into_iter().map(|(_, value)| value).collect();
        let mut runs: Vec<(usize, Run)> =
            placed("run").into_iter().map(|(place, script)| (place, Run { script, args: None })).collect();
        for (place, args) in placed("args") {
            let run = runs.iter_mut().rev().find(|(run_place, _)| *run_place < place);
            match run {
                Some((_, run)) if run.args.is_none() => run.args = Some(args),
                Some((_, run)) => {
                    let text = format!("two --args for --run {}; give all its arguments as one string\n", run.script);
                    return Err(clap::Error::raw(ErrorKind::ArgumentConflict, text));
                }
                None => {
                    let text = "--args stands behind the --run it belongs to\n";
                    return Err(clap::Error::raw(ErrorKind::MissingRequiredArgument, text));
                }
            }
        }
        Ok(Self { puts: values("put"), runs: runs.into_iter().map(|(_, run)| run).collect(), gets: values("get") })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn words(kind: &str, params: Vec<Param>) -> CommandWords {
    CommandWords { r#type: kind.into(), params }
}

fn param(key: &str, value: &str) -> Param {
    Param { key: key.into(), value: value.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(arguments: &[&str]) -> Result<GivenCommands, clap::Error> {
        let command = GivenCommands::augment_args(clap::Command::new("test").no_binary_name(true));
        GivenCommands::from_arg_matches(&command.try_get_matches_from(arguments)?)
    }

    fn shown(arguments: &[&str]) -> Vec<String> {
        let values = |words: &CommandWords| words.params.iter().map(|param| param.value.clone()).collect::<Vec<_>>();
        let show = |words: &CommandWords| format!("{} {}", words.r#type, values(words).join(" "));
        read(arguments).unwrap().in_order().iter().map(show).collect()
    }

    #[test]
    fn commands_come_in_the_order_the_api_asks_for() {
        assert_eq!(
            shown(&[
                "--get", "/a", "--run", "one.sh", "--args", "-x 1", "--put", "b", "--run", "two.sh", "--get", "/c"
            ]),
            ["PutFile b", "RunScript one.sh -x 1", "RunScript two.sh", "GetFile /a", "GetFile /c"]
        );
        assert_eq!(
            shown(&["--run", "one.sh", "--run", "two.sh", "--args", "--y"]),
            ["RunScript one.sh", "RunScript two.sh --y"]
        );
    }

    #[test]
    fn args_without_their_run_are_refused() {
        assert!(read(&["--args", "x", "--run", "one.sh"]).is_err());
        assert!(read(&["--run", "one.sh", "--args", "x", "--args", "y"]).is_err());
        assert!(read(&["--args", "x", "--get", "/a"]).is_err());
        assert!(read(&[]).is_err());
    }
}

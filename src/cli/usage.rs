//! Command lines that are wrong.

use std::ffi::OsString;

use clap::error::ContextValue;
use clap::{ArgMatches, ColorChoice, CommandFactory as _, ValueEnum as _};

use super::context;
use super::exit::Exit;
use super::failure::Failure;
use super::output::{Format, Printer, Verbosity};
use crate::image::hint::Hint;
use crate::image::one_line::OneLine;

/// The command that is called, such as `blob verify`.
pub(super) fn command(matches: &ArgMatches) -> String {
    let mut names = Vec::new();
    let mut below = matches.subcommand();
    while let Some((name, matches)) = below {
        names.push(name);
        below = matches.subcommand();
    }
    names.join(" ")
}

/// Tells what is wrong with the arguments, or the help that was asked for; the exit code.
pub(super) fn tell(error: clap::Error) -> Exit {
    let words = context::arguments();
    let printer = printer(&words);
    if !error.use_stderr() {
        return match printer.help(&error.render()) {
            Ok(()) => Exit::Ok,
            Err(error) => {
                let failure = Failure::from(error).hinting("help");
                printer.error(&failure.message, &failure.details, failure.hint().as_deref());
                failure.exit
            }
        };
    }
    let mut failure = Failure::usage("");
    let help = match called(&words).as_str() {
        "" => "dockseal --help".to_owned(),
        command => format!("dockseal {command} --help"),
    };
    let error = in_its_lines(error);
    printer.usage(&error.render(), &help);
    failure.hint = Some(Hint::Text(help));
    let plain = error.render().to_string();
    let mut lines = plain.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or_default();
    first.strip_prefix("error: ").unwrap_or(first).clone_into(&mut failure.message);
    failure.details = lines
        .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more"))
        .map(str::to_owned)
        .collect();
    let _ = printer.json(failure.document());
    Exit::Usage
}

/// The same error; where arguments hold what terminals would act on, it is escaped in what clap
/// repeats of them.
pub(super) fn in_its_lines(mut error: clap::Error) -> clap::Error {
    if !context::has_hidden_arguments() {
        return error;
    }
    let one_line = |text: &str| OneLine(text).to_string();
    let escaped: Vec<_> = error
        .context()
        .filter_map(|(kind, value)| {
            let value = match value {
                ContextValue::String(text) => ContextValue::String(one_line(text)),
                ContextValue::Strings(texts) => {
                    ContextValue::Strings(texts.iter().map(|text| one_line(text)).collect())
                }
                // Suggestions; their styles go, since an argument may have some, too.
                ContextValue::StyledStrs(texts) => ContextValue::StyledStrs(
                    texts.iter().map(|text| one_line(&text.to_string()).into()).collect(),
                ),
                _ => return None,
            };
            Some((kind, value))
        })
        .collect();
    for (kind, value) in escaped {
        error.insert(kind, value);
    }
    error
}

/// A printer as the command line wants it, as far as that can be told.
fn printer(words: &[OsString]) -> Printer {
    let value = |option: &str| {
        let with_equals = format!("{option}=");
        let next = words.iter().zip(words.iter().skip(1)).find(|(word, _)| *word == option);
        let one = words.iter().find_map(|word| word.to_str()?.strip_prefix(&with_equals));
        one.or_else(|| next.and_then(|(_, value)| value.to_str())).map(str::to_owned)
    };
    let format = value("--format").and_then(|it| Format::from_str(&it, false).ok());
    let color = value("--color").and_then(|it| it.parse::<ColorChoice>().ok());
    Printer::new(Verbosity::Normal, format.unwrap_or_default())
        .with_color(color.unwrap_or(ColorChoice::Auto))
}

/// The command that seems to be called.
fn called(words: &[OsString]) -> String {
    let mut command = super::Cli::command();
    command.build();
    let mut names = Vec::new();
    let mut below = &command;
    for word in words.iter().filter_map(|word| word.to_str()) {
        if let Some(found) = below.find_subcommand(word) {
            names.push(found.get_name().to_owned());
            below = found;
        } else if !names.is_empty() && !word.starts_with('-') {
            break;
        }
    }
    names.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_found_among_options() {
        for (line, command) in [
            ("blob verify --nothing", "blob verify"),
            ("--format json cert ls x", "cert list"),
            ("cert -q frob list", "cert"),
            ("frobnicate", ""),
            ("--nothing", ""),
        ] {
            let words: Vec<_> = line.split(' ').map(OsString::from).collect();
            assert_eq!(called(&words), command, "{line}");
        }
    }

    #[test]
    fn the_form_of_the_error_is_as_asked_for() {
        for (line, format) in [
            ("verify --format json --nothing", Format::Json),
            ("verify --nothing --format=json", Format::Json),
            ("verify --format text", Format::Text),
            ("verify --format", Format::Text),
        ] {
            let words: Vec<_> = line.split(' ').map(OsString::from).collect();
            assert_eq!(printer(&words).format(), format, "{line}");
        }
    }
}

//! The verdicts as JUnit XML, which continuous integration shows. The only file that knows quick-xml.

use std::io::{self, Write};

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};

use super::outcome::{Outcome, Verdict};
use crate::image::one_line::OneLine;

/// Writes the report.
///
/// # Errors
/// When `out` can't be written.
pub(super) fn write(outcomes: &[Outcome], out: impl Write) -> io::Result<()> {
    let count = |wanted: &[Verdict]| {
        outcomes.iter().filter(|it| wanted.contains(&it.verdict)).count().to_string()
    };
    let seconds = |seconds: f64| format!("{seconds:.3}");
    let total = seconds(outcomes.iter().map(|outcome| outcome.seconds).sum());
    let failures = count(&[Verdict::Denied]);
    let errors = count(&[Verdict::Error]);
    let skipped = count(&[Verdict::Skipped, Verdict::NotTried]);
    let tests = outcomes.len().to_string();
    let totals = [
        ("name", "dockseal verify"),
        ("tests", tests.as_str()),
        ("failures", failures.as_str()),
        ("errors", errors.as_str()),
        ("skipped", skipped.as_str()),
        ("time", total.as_str()),
    ];
    let mut writer = Writer::new_with_indent(out, b' ', 2);
    writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let suites = writer.create_element("testsuites").with_attributes(totals);
    suites.write_inner_content(|writer| {
        let suite = writer.create_element("testsuite").with_attributes(totals);
        suite.write_inner_content(|writer| {
            outcomes.iter().try_for_each(|outcome| case(writer, outcome, &seconds(outcome.seconds)))
        })?;
        Ok(())
    })?;
    let mut out = writer.into_inner();
    out.write_all(b"\n")
}

fn case(writer: &mut Writer<impl Write>, outcome: &Outcome, time: &str) -> io::Result<()> {
    let name = clean(&OneLine(&outcome.name).to_string());
    let case = writer.create_element("testcase").with_attributes([
        ("classname", "dockseal.verify"),
        ("name", name.as_str()),
        ("time", time),
    ]);
    case.write_inner_content(|writer| {
        match outcome.verdict {
            Verdict::Trusted => {
                let digest = outcome.digest.as_ref().map(ToString::to_string).unwrap_or_default();
                let text = BytesText::new(&digest).into_owned();
                writer.create_element("system-out").write_text_content(text)?;
            }
            Verdict::Skipped => skip(writer, "the policy skips verification")?,
            Verdict::NotTried => skip(writer, "not tried: another one failed before")?,
            Verdict::Denied => failed(writer, "failure", outcome)?,
            Verdict::Error => failed(writer, "error", outcome)?,
        }
        Ok(())
    })?;
    Ok(())
}

fn skip(writer: &mut Writer<impl Write>, why: &str) -> io::Result<()> {
    writer.create_element("skipped").with_attribute(("message", why)).write_empty()?;
    Ok(())
}

fn failed(writer: &mut Writer<impl Write>, element: &str, outcome: &Outcome) -> io::Result<()> {
    let Some(failure) = &outcome.failure else { return Ok(()) };
    let message = clean(&failure.message);
    let mut lines = vec![message.clone()];
    lines.extend(failure.details.iter().map(|detail| clean(detail)));
    lines.extend(failure.hint.iter().map(|hint| format!("hint: {}", clean(&hint.to_string()))));
    let kind = format!("exit code {}", failure.exit.code());
    writer
        .create_element(element)
        .with_attributes([("type", kind.as_str()), ("message", message.as_str())])
        .write_text_content(BytesText::new(&lines.join("\n")))?;
    Ok(())
}

/// What XML 1.0 has no characters for is replaced: it can't be written, not even escaped. Names and
/// messages may hold what strangers wrote.
fn clean(text: &str) -> String {
    let is_character = |it: char| matches!(it, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
    text.chars().map(|it| if is_character(it) { it } else { '\u{fffd}' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::exit::Exit;
    use crate::cli::failure::Failure;

    #[test]
    fn what_strangers_wrote_stays_text() {
        let failure = Failure::new(Exit::ContentMismatch, "a </failure> & \"\u{1b}[31m\"")
            .with_detail("]]>\u{ffff}");
        let outcome = Outcome::failed("x\" y=\"<".to_owned(), failure);
        let mut out = Vec::new();
        write(&[outcome], &mut out).unwrap();
        let text = String::from_utf8(out.clone()).unwrap();
        assert!(!text.contains('\u{1b}') && !text.contains('\u{ffff}'), "{text}");
        let mut reader = quick_xml::Reader::from_str(&text);
        let mut elements = Vec::new();
        loop {
            match reader.read_event().unwrap() {
                Event::Start(start) | Event::Empty(start) => {
                    elements.push(start.name().as_ref().to_owned());
                }
                Event::Eof => break,
                _ => {}
            }
        }
        assert_eq!(elements, ["testsuites", "testsuite", "testcase", "failure"], "{text}");
    }
}

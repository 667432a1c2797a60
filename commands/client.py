"""Commands that speak to a running API by HTTP, as any client does."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from commands.installation import data_option, json_option, settings_of

if TYPE_CHECKING:
    from runtime.settings import Settings

WRONG: Final = 1
FORMS: Final = ("mp3", "opus", "aac", "flac", "wav", "pcm")
"""As ``contracts.speech.SpeechFormat`` has them: `--help` does without what that loads."""

SPEED: Final = click.FloatRange(0.25, 4)
OUTPUT: Final = click.Path(path_type=Path)

user_option = click.option(
    "--user", type=click.UUID, help="Send as this user [default: the folder's own]."
)


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@json_option
@data_option
@user_option
@click.option("--language", "languages", multiple=True, help="Spoken language; may be repeated.")
@click.option("--sample", is_flag=True, hidden=True, help="Say what else may be tried.")
def send(
    file: Path,
    *,
    as_json: bool,
    data: Path | None,
    user: Any,
    languages: tuple[str, ...],
    sample: bool,
) -> None:
    """Send a recording through the HTTP API of a running `up`, and print what comes of it."""
    from runtime import send_report
    from runtime.send import send as send_file
    from runtime.send_progress import shown
    from runtime.target import find_target

    settings = settings_of(data)
    target = find_target(settings, None if user is None else str(user))
    with shown() as progress:
        sent = send_file(target, file, languages, progress)
    click.echo(send_report.as_json(sent) if as_json else send_report.as_text(sent))
    if sample and not as_json:
        click.echo(what_next(settings, target.api))
    sys.exit(0 if send_report.succeeded(sent) else WRONG)


def what_next(settings: "Settings", api: str) -> str:
    """What somebody who has seen the sample may try: two lines of its report."""
    from runtime.send_report import row
    from runtime.target import LOCAL_USER

    command, here = Path(sys.executable).with_name("voicekeep"), Path.cwd()
    if command.is_relative_to(here):
        command = command.relative_to(here)
    usual = settings.data_dir.absolute() == here / ".voicekeep"
    folder = "" if usual else f" --data {settings.data_dir}"
    client = f"{api}/v1 with the key of `{command} token --user {LOCAL_USER}{folder}`"
    aloud = row("Read aloud", f'{command} speak "Seven ships."{folder}')
    return f"{aloud}\n{row('OpenAI API', client)}\n"


@click.command()
@click.argument("text", required=False)
@json_option
@data_option
@user_option
@click.option(
    "--file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path, allow_dash=True),
    help="Read the text from a file; `-`, or neither text nor file, for stdin.",
)
@click.option("--voice", default="alloy", show_default=True, help="Who reads it.")
@click.option("--model", help="Model of the vendor [default: the configured one].")
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMS),
    help="[default: what the name of --out ends in, else mp3]",
)
@click.option("--speed", type=SPEED, default=1.0, show_default=True)
@click.option("--language", help="Language of the text [default: found out].")
@click.option(
    "--out",
    type=OUTPUT,
    help="File or folder for the audio; `-` for stdout [default: here, by its id].",
)
@click.option("--timings", type=OUTPUT, help="File for what is said when, as WebVTT.")
def speak(
    *,
    text: str | None,
    as_json: bool,
    data: Path | None,
    user: Any,
    file: Path | None,
    out: Path | None,
    timings: Path | None,
    form: str | None,
    **fields: Any,
) -> None:
    """Have a text read aloud by the HTTP API of a running `up`, and fetch the audio."""
    from runtime import speak_report
    from runtime.send_progress import shown
    from runtime.speak import STDOUT, Wish, form_of
    from runtime.speak import speak as have_spoken
    from runtime.target import find_target

    check_places(out, timings)
    check_no_folder(timings)
    said = {name: value for name, value in fields.items() if value is not None}
    said |= {"text": text_of(text, file), "format": form_of(out, form)}
    target = find_target(settings_of(data), None if user is None else str(user))
    with shown() as progress:
        spoken = have_spoken(target, Wish(fields=said, out=out, timings=timings), progress)
    report = (
        speak_report.as_json(spoken)
        if as_json
        else speak_report.as_text(spoken, timings_wanted=timings is not None)
    )
    # Stdout is the audio's, where it is wanted there.
    click.echo(report, err=out == STDOUT)
    sys.exit(0 if spoken.ready else WRONG)


def text_of(text: str | None, file: Path | None) -> str:
    """The text, wherever it comes from.

    Raises:
        click.UsageError: there is none, there are two, or it is no UTF-8.
    """
    if text is not None and file is not None:
        raise click.UsageError("Either a text or --file FILE.")
    try:
        if text is not None and text != "-":
            return text.encode().decode()
        if text is None and file is None and sys.stdin.isatty():
            raise click.UsageError("A text, --file FILE, or a text on stdin.")
        source = sys.stdin.buffer if file is None or str(file) == "-" else file
        data = source.read_bytes() if isinstance(source, Path) else source.read()
        return data.decode("utf-8-sig")
    except UnicodeError as error:
        raise click.UsageError("The text is not UTF-8.") from error


def check_places(*files: Path | None) -> None:
    """See before anything is bought whether there is a folder for what comes of it.

    Raises:
        click.UsageError: there is none.
    """
    for file in files:
        if file is not None and not file.parent.is_dir():
            raise click.UsageError(f"There is no folder {file.parent}.")


def check_no_folder(file: Path | None) -> None:
    """See whether a file can have this name.

    Raises:
        click.UsageError: a folder has it.
    """
    if file is not None and file.is_dir():
        raise click.UsageError(f"{file} is a folder.")

"""The command line: reads the settings, puts the parts together, runs one of them.

Every command imports what it needs when it runs, so that `--help` costs next to nothing.
"""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from commands.client import send, speak
from commands.credits import credits, credits_probe  # noqa: A004 - the command's name
from commands.installation import data_option, json_option, migrated, settings_of
from commands.keys import keys
from commands.notify import notify
from commands.usage import usage
from commands.webhooks import webhooks

if TYPE_CHECKING:
    from runtime.doctor import Probe, Verdict
    from runtime.settings import Settings

OWN_COMMANDS: Final = (sys.executable, "-P", "-m", "cli")
SAMPLE: Final = Path(__file__).parent / ".samples" / "memo.m4a"
PORT: Final = click.IntRange(0, 65_535)

WRONG: Final = 1
USAGE: Final = 2
AWAY: Final = 3

EXIT_CODES: Final = """
\b
Exit codes: 0 it worked; 1 it did not (a failed job, a broken invariant, something to mend);
2 a wrong option or setting; 3 a part that is needed is away.
"""


class Voicekeep(click.Group):
    """Says a failure in one sentence instead of a trace."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; map our failures to exit codes."""
        from contracts.errors import Failure, Unavailable

        try:
            return super().invoke(ctx)
        except Failure as failure:
            click.echo(f"voicekeep: {failure.message}", err=True)
            if failure.code == "invalid_setting":
                ctx.exit(USAGE)
            ctx.exit(AWAY if isinstance(failure, Unavailable) else WRONG)


@click.group(
    cls=Voicekeep, epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(package_name="voicekeep")
def voicekeep() -> None:
    """Durable voice jobs: every memo is one Temporal workflow."""


for command in (credits, keys, notify, usage, webhooks, send, speak):
    voicekeep.add_command(command)


def main() -> None:
    """Run a command, and end the process.

    Where the Temporal SDK was used the interpreter is not taken down: a thread of the SDK that is
    still handing over its last answer would abort the process (SIGABRT, exit status 134).
    """
    try:
        voicekeep(prog_name="voicekeep")
    except SystemExit as end:
        if "temporalio" not in sys.modules:
            raise
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(end.code if isinstance(end.code, int) else WRONG if end.code else 0)


@voicekeep.command()
@json_option
@data_option
@click.option("--no-sample", is_flag=True, help="Do not send the sample recording through.")
@click.option("--port", type=PORT, help="Port of the API; 0 takes a free one.")
@click.option("--temporal-port", type=PORT, help="Port of the Temporal server, likewise.")
@click.option("--ui-port", type=PORT, help="Port of the Temporal web UI, likewise.")
def up(*, as_json: bool, data: Path | None, no_sample: bool, **ports: int | None) -> None:
    """Bring everything up on this machine and keep it up until Ctrl-C."""
    import asyncio

    from runtime import embedded, settings
    from runtime.announcements import announcer
    from runtime.supply import server_for

    found = settings_of(data, serving=True)
    plan = embedded.Plan(
        settings=found,
        env=settings.environment(),
        entry=OWN_COMMANDS,
        server=server_for(found.temporal),
        log_files=not as_json,
        then=None if no_sample else sample_command(as_json=as_json),
        **ports,
    )
    asyncio.run(embedded.up(plan, announcer(found.data_dir, as_json=as_json)))


def sample_command(*, as_json: bool) -> tuple[str, ...] | None:
    """Send the sample recording, as a user of its own: its credits never run out."""
    from uuid import uuid4

    if not SAMPLE.exists():
        click.echo(f"No sample is sent: {SAMPLE} is missing; `make samples` makes it.", err=True)
        return None
    return (
        "send",
        str(SAMPLE),
        "--sample",
        "--user",
        str(uuid4()),
        *(("--json",) if as_json else ()),
    )


@voicekeep.command()
@click.option("--fd", type=int, help="Descriptor of a listening socket to serve on.")
@data_option
def api(fd: int | None, data: Path | None) -> None:
    """Serve the HTTP API."""
    from api.main import create_app
    from providers.openai_tokens import OpenAITokens
    from providers.speech_encoder import SpeechEncoder
    from runtime.serve import serve

    settings = settings_of(data, serving=True)
    elsewhere = None
    if settings.services.mana_credits_url is not None:
        from engines import credits_service

        elsewhere = credits_service(settings)
    tokens = OpenAITokens(
        settings.transcription.openai_base_url, seconds=settings.sign_in.verify_seconds
    )
    encoder = SpeechEncoder(
        settings.data_dir / "work", most=settings.speech.encoders, ffmpeg=settings.media.ffmpeg
    )
    app = create_app(settings, elsewhere=elsewhere, vendor_tokens=tokens, encoder=encoder)
    serve(app, settings.server, settings.connections, descriptor=fd)


@voicekeep.command()
@data_option
def worker(data: Path | None) -> None:
    """Run jobs: serve the task queues."""
    import asyncio

    import worker as root

    asyncio.run(root.run(settings_of(data, serving=True)))


@voicekeep.command()
@data_option
def migrate(data: Path | None) -> None:
    """Bring the database to this version's tables."""
    import asyncio

    from store import migrations

    revision = asyncio.run(migrations.upgrade(settings_of(data).database_url))
    click.echo(f"The database is at revision {revision}.", err=True)


@voicekeep.group()
def schedules() -> None:
    """What runs by the clock."""


@schedules.command()
@data_option
def apply(data: Path | None) -> None:
    """Create or update the schedules, and the search attributes jobs carry."""
    import asyncio

    from runtime.schedules import prepare
    from runtime.whereabouts import temporal_of

    asyncio.run(prepare(temporal_of(settings_of(data))))


@voicekeep.command()
@data_option
@click.option("--user", type=click.UUID, required=True, help="Whose token it is.")
@click.option("--email", help="The user's address, for invites.")
@click.option("--expires-in", type=float, default=86_400, show_default=True, metavar="SECONDS")
@click.option("--audience", default="mana", show_default=True)
def token(
    data: Path | None, user: Any, email: str | None, expires_in: float, audience: str
) -> None:
    """Print a bearer token of the embedded issuer."""
    from runtime.issuer import EmbeddedIssuer

    issuer = EmbeddedIssuer.open(settings_of(data).data_dir)
    click.echo(issuer.sign(str(user), email=email, audience=audience, expires_in=expires_in))


@voicekeep.group()
def providers() -> None:
    """The engines behind the tiers."""


@providers.command()
@click.argument("names", nargs=-1, metavar="[TIER]...")
@click.option(
    "--audio",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A short recording that is to be transcribed; vendors are paid for it.",
)
@click.option("--say", metavar="TEXT", help="A text that is to be read aloud; likewise.")
@click.option("--voice", default="alloy", show_default=True, help="Who reads it.")
@click.option(
    "--to",
    "folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A folder for what was said, as TIER.wav.",
)
@data_option
def check(  # noqa: PLR0917 - options, one each
    names: tuple[str, ...],
    audio: Path | None,
    say: str | None,
    voice: str,
    folder: Path | None,
    data: Path | None,
) -> None:
    """Ask each configured tier, or those named, and print what it heard or said."""
    import asyncio

    from commands.provider_checks import try_tiers, try_voices
    from contracts.speech import SpeechOrder
    from providers.openai_models import announced

    settings = settings_of(data)
    if say is not None and audio is None:
        tries = try_voices(settings, names, SpeechOrder(text=say, voice=voice), folder)
    elif audio is not None and say is None:
        tries = try_tiers(settings, names, audio)
    else:
        raise click.UsageError("Either --audio FILE or --say TEXT.")

    async def each() -> bool:
        well = True
        async for tried in tries:
            well = well and not tried.failure
            said = tried.failure or tried.text or "no words"
            click.echo(f"{tried.tier:<24} {tried.seconds:6.1f} s  {said}")
        for model, day in await announced(settings.model_servers):
            click.echo(f"{model} is shut down by its vendor on {day}", err=True)
        return well

    sys.exit(0 if asyncio.run(each()) else WRONG)


@voicekeep.command()
@json_option
@data_option
@click.option("--verify", is_flag=True, help="Check the invariants of everything stored instead.")
def doctor(*, as_json: bool, data: Path | None, verify: bool) -> None:
    """Check every part, and say how to mend what is not in order."""
    import asyncio

    from runtime import doctor as checks

    settings = settings_of(data)
    report: checks.Report | checks.Verdict
    if verify:
        report = asyncio.run(verdict(settings))
    else:
        report = asyncio.run(checks.examine(settings, outside_probes(settings)))
    click.echo(report.as_json() if as_json else report.as_text())
    sys.exit(0 if report.ok else WRONG)


async def verdict(settings: "Settings") -> "Verdict":
    """Every broken promise in database and storage."""
    from contextlib import AsyncExitStack

    from runtime.doctor import SETTLING_SECONDS, Verdict
    from store.files import open_files
    from store.invariants import violations

    async with AsyncExitStack() as stack, migrated(settings) as database:
        files, _, resumable = open_files(settings.storage_setup, stack)
        found = violations(database, files, resumable, settling_seconds=SETTLING_SECONDS)
        return Verdict(violations=tuple([violation async for violation in found]))


def outside_probes(settings: "Settings") -> "dict[str, Probe]":
    """The parts that only a root may know."""
    from contextlib import AsyncExitStack

    from providers.media_tools import MediaTools
    from providers.openai_models import announced
    from runtime.doctor import NotInUse
    from store import migrations
    from store.files import open_files

    async def database() -> str:
        async with migrated(settings):
            return f"at revision {migrations.head()}"

    async def ffmpeg() -> str:
        tools = MediaTools(settings.data_dir / "work", ffmpeg=settings.media.ffmpeg)
        try:
            found = await tools.status()
        finally:
            await tools.aclose()
        return f"{found.binary}, {found.isolation}"

    async def models() -> str:
        servers = settings.model_servers
        if not servers:
            raise NotInUse("no model of OpenAI's API is asked")
        if told := await announced(servers):
            dates = ", ".join(f"{model} is shut down on {day}" for model, day in told)
            raise NotInUse(f"{dates}: name another model by then")
        return "no shut-down is announced"

    async def storage() -> str:
        async with AsyncExitStack() as stack:
            elsewhere = open_files(settings.storage_setup, stack).elsewhere
            if elsewhere is None:
                raise NotInUse("none: STORAGE is disk")
            return await elsewhere.examine()

    async def speech() -> str:
        from commands.provider_checks import speech_probe

        return await speech_probe(settings)

    return {
        "database": database,
        "ffmpeg": ffmpeg,
        "storage service": storage,
        "speech": speech,
        "models": models,
        "credits service": lambda: credits_probe(settings),
    }


@voicekeep.command()
@click.argument("job")
@data_option
def replay(job: str, data: Path | None) -> None:
    """Fetch a job's history and replay it on the present code."""
    import asyncio

    from runtime.replay import replay_job
    from runtime.whereabouts import temporal_of
    from worker import WORKFLOWS

    count = asyncio.run(replay_job(temporal_of(settings_of(data)), job, WORKFLOWS))
    click.echo(f"{job}: {count} events replay on the present code")


if __name__ == "__main__":
    main()

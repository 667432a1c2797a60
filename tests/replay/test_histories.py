"""Every recorded history replays on the present code."""

from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer

from runtime.temporal import make_plugin
from tests.counts import payloads_in
from worker import WORKFLOWS

HISTORIES = sorted((Path(__file__).parent / "histories").glob("*.json"))


def test_there_are_histories_to_replay() -> None:
    assert len(HISTORIES) >= 9


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)
async def test_a_recorded_history_replays_on_the_present_code(path: Path) -> None:
    history = WorkflowHistory.from_json(f"captured-{path.stem}", path.read_text())
    replayer = Replayer(workflows=list(WORKFLOWS), plugins=[make_plugin()])
    await replayer.replay_workflow(history)


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)
def test_a_history_holds_no_spoken_word(path: Path) -> None:
    # What the stand-in says in every transcript.
    history = WorkflowHistory.from_json(f"captured-{path.stem}", path.read_text())
    for payload in payloads_in(history.events):
        assert b"harbour" not in payload.data

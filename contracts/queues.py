"""The only spelling of the task queues."""

from typing import Final

MAIN: Final = "voicekeep"
"""Workflows and activities that wait for I/O."""

MEDIA: Final = "voicekeep-media"
"""ffmpeg and local recognition: slots by CPU and memory."""

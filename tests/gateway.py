"""LiteLLM's proxy in front of a stand-in: a server of somebody else's that speaks OpenAI's API."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import httpx

from benchmarks.stack import free_port
from tools import provide_gateway

KEY: Final = "sk-gateway"
START_SECONDS: Final = 400.0
"""It imports for half a minute of processor time."""
STOP_SECONDS: Final = 20.0


class Gateway:
    """It passes everything on to a base URL.

    Args:
        folder: its home, and its log.

    Attributes:
        base_url: what OPENAI_BASE_URL is set to.
    """

    def __init__(self, upstream: str, folder: Path) -> None:
        self._port = free_port()
        self.base_url = f"http://127.0.0.1:{self._port}/v1"
        self._folder = folder
        self._log = folder / "gateway.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "UPSTREAM": upstream,
            "GATEWAY_KEY": KEY,
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # else it asks a web site for prices
            "NO_PROXY": "*",
        }

    def start(self) -> None:
        """Have it listen; nothing, when it does."""
        if self._process is not None:
            return
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                provide_gateway.command(self._port),
                env=self._environment,
                cwd=self._folder,
                stdout=log,
                stderr=log,
            )
        self._wait(self._process)

    def _wait(self, process: "subprocess.Popen[bytes]") -> None:
        deadline = time.monotonic() + START_SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            with suppress(httpx.TransportError):
                if httpx.get(f"{self.base_url[:-3]}/health/liveliness", timeout=5).is_success:
                    return
            time.sleep(0.2)
        raise AssertionError(f"The gateway did not start: {self._log.read_text()[-2000:]}")

    def stop(self) -> None:
        """End it; nobody listens at its address from then on."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def gateway_to(upstream: str, folder: Path) -> Iterator[Gateway]:
    """One that can be started; ended when the block ends."""
    if not provide_gateway.installed():
        raise FileNotFoundError("The gateway is missing: run `make gateway`")
    gateway = Gateway(upstream, folder)
    try:
        yield gateway
    finally:
        gateway.stop()

"""A client of another maker (tuspy) in a process of its own: it can be killed at any byte.

python -m tests.faults.tus_client ENDPOINT TOKEN FILE URLS [CHUNK [RETRIES]]

It remembers in the file URLS where it sent what, so that the next such process goes on there. It
prints the byte it begins with, and the last answer's path.
"""

import sys
from typing import Any

from tusclient.client import TusClient
from tusclient.fingerprint.fingerprint import Fingerprint
from tusclient.storage.filestorage import FileStorage

RETRY_SECONDS = 0.3


def main(endpoint: str, token: str, file: str, urls: str, *numbers: str) -> None:
    chunk, retries = (*(int(number) for number in numbers), *(2**40, 0)[len(numbers) :])
    client = TusClient(endpoint, headers={"Authorization": f"Bearer {token}"})
    storage: Any = FileStorage
    uploader: Any = client.uploader(
        file,
        chunk_size=chunk,
        retries=retries,
        retry_delay=RETRY_SECONDS,
        store_url=True,
        url_storage=storage(urls),
        fingerprinter=Fingerprint(),
        metadata={"filename": "memo.wav", "filetype": "audio/wav"},
    )
    tell(uploader.offset)
    uploader.upload()
    tell(uploader.request.response_headers["x-file-path"])


def tell(what: object) -> None:
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Small recordings made by ffmpeg at test time; what is in them does not matter to the vendor."""

import subprocess
from pathlib import Path


def make(path: Path, seconds: float, source: str = "sine=frequency=300") -> Path:
    """Encode a tone (or any other lavfi source) in the container the file's suffix names."""
    generator = f"{source}:sample_rate=22050" if "=" in source else source
    command = ("ffmpeg", "-nostdin", "-v", "error", "-y", "-f", "lavfi", "-i", generator)
    subprocess.run([*command, "-t", str(seconds), str(path)], check=True)
    return path

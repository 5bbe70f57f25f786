"""A certificate authority for tests, by openssl."""

import subprocess
from pathlib import Path

_CURVE = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


class Authority:
    """Signs certificates into a folder; `ca` is its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = folder / "ca.key"
        self.ca = folder / "ca.crt"
        self._run("req", "-x509", *_CURVE, "-subj", "/CN=ca", "-days", "30", "-keyout", self._key, "-out", self.ca)

    def issue(self, name: str, *, expired: bool = False) -> tuple[Path, Path]:
        """Sign a certificate for 127.0.0.1, for servers and clients alike; return it and its key."""
        cert, key, request = (self._folder / f"{name}.{suffix}" for suffix in ("crt", "key", "csr"))
        extensions = self._folder / "extensions"
        extensions.write_text("subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n", encoding="ascii")
        self._run("req", "-new", *_CURVE, "-subj", f"/CN={name}", "-keyout", key, "-out", request)
        until = ("-days", "-1" if expired else "30")
        signed = ("-CA", self.ca, "-CAkey", self._key, "-CAcreateserial", "-extfile", extensions)
        self._run("x509", "-req", "-in", request, *signed, *until, "-out", cert)
        return cert, key

    def _run(self, *arguments: str | Path) -> None:
        done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

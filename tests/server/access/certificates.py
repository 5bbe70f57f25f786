"""Certificates for tests, by openssl, which signs itself."""

import subprocess
from pathlib import Path

NAMES = ("registry.localhost", "data-registry.localhost")


def certificate(folder: Path, name: str = "tls", names: tuple[str, ...] = NAMES) -> tuple[Path, Path]:
    """Make a certificate for these names or addresses, and its key; return both files."""
    cert, key = folder / f"{name}.crt", folder / f"{name}.key"
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc", "-days", "2"]
    kinds = (f"{'IP' if each[0].isdigit() else 'DNS'}:{each}" for each in names)
    subject = ["-subj", f"/CN={names[0]}", "-addext", f"subjectAltName={','.join(kinds)}"]
    subprocess.run(
        ["openssl", "req", "-x509", *curve, *subject, "-out", str(cert), "-keyout", str(key)],
        check=True,
        capture_output=True,
        timeout=60,
    )
    return cert, key

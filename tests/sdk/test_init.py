"""`dualpath init` learns a registry from servers of the official SDK."""

import asyncio
import os
import subprocess
import tempfile
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from processes import Port
from world import PAT, SDK_SERVER, Server, world

DUALPATH = os.environ["DUALPATH"]


def dualpath(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "THE_PAT": PAT}
    return subprocess.run([DUALPATH, *arguments], env=environment, capture_output=True, text=True, timeout=60)


async def learn(*options: str) -> str:
    """The registry that is made of a server with these options; it passes `check --strict`."""
    async with world(*options) as here:
        with tempfile.TemporaryDirectory() as folder:
            file = str(Path(folder) / "registry.yaml")
            arguments = ("init", "--from-mcp", here.server.url, "--token-env", "THE_PAT", "-o", file)
            made = await asyncio.to_thread(dualpath, *arguments)
            assert made.returncode == 0, made.stderr
            checked = dualpath("check", "--strict", file)
            assert checked.returncode == 0, checked.stdout + checked.stderr
            text = Path(file).read_text()
    assert PAT not in text + made.stdout + made.stderr
    for tool in ("search", "whoami", "fail", "count"):
        assert f"- name: {tool}\n" in text, text
    assert "- name: whoami\n    task: whoami\n    replayable: true   # its server says readOnlyHint\n" in text, text
    assert "- name: search\n    task: search\n    replayable: false" in text, text
    assert "credential: the-pat\n" in text, text
    return text


async def test_a_server_with_sessions_and_event_streams_is_learned():
    await learn()


async def test_a_server_with_json_and_without_sessions_is_learned_alike():
    text = await learn("--json", "--stateless")
    assert "protocol:" not in text, "it has a handshake as well"


def certify(folder: Path) -> None:
    """A certificate for 127.0.0.1 that signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a test")])
    day = timedelta(days=1)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now() - day)
        .not_valid_after(datetime.now() + day)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(pem))
    plain = serialization.NoEncryption()
    (folder / "key.pem").write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))


async def test_a_server_with_tls_is_asked_only_if_its_certificate_is_trusted():
    with tempfile.TemporaryDirectory() as scratch:
        folder, port = Path(scratch), Port()
        certify(folder)
        server = Server("primary", port, [*SDK_SERVER, "--json", "--tls", scratch], folder, PAT)
        await server.start()
        try:
            url, authority = f"https://127.0.0.1:{port.number}/mcp", str(folder / "certificate.pem")
            arguments = ("init", "--from-mcp", url, "--token-env", "THE_PAT", "-o", "-")
            refused = await asyncio.to_thread(dualpath, *arguments)
            assert refused.returncode == 1 and "certificate" in refused.stderr, refused.stderr
            made = await asyncio.to_thread(dualpath, *arguments, "--ca-file", authority)
            assert made.returncode == 0, made.stderr
            assert f'url: "{url}"' in made.stdout and f"ca_file: {authority}" in made.stdout, made.stdout
        finally:
            await server.kill()
            port.close()

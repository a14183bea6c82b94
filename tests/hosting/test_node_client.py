"""The unmodified npm client `durable-functions` drives every one of its calls against a served hub, where Node is."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from tempfile import mkdtemp

import pytest
import trio

from tests.hosting.served import served
from tests.hosting.town import app

PACKAGE = "durable-functions@3.5.0"
INSTALL_S_MAX = 120.0
SCRIPT = Path(__file__).with_name("node_client.js")


@pytest.fixture(scope="module")
def node_folder(pytestconfig: pytest.Config) -> Path:
    """A folder where the client is installed: made once, kept in pytest's cache."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node and npm are not here")
    assert pytestconfig.cache is not None
    cache = pytestconfig.cache.mkdir("npm")
    folder = cache / PACKAGE
    if not folder.exists():
        fresh = Path(mkdtemp(dir=cache))
        (fresh / "package.json").write_text('{"private": true}')
        command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", PACKAGE]
        try:
            subprocess.run(command, cwd=fresh, check=True, capture_output=True, timeout=INSTALL_S_MAX)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            shutil.rmtree(fresh)
            pytest.skip(f"npm cannot install {PACKAGE}: {error}")
        try:
            fresh.rename(folder)
        except OSError:  # another worker was faster
            shutil.rmtree(fresh)
    return folder


@pytest.mark.parametrize(("local", "key"), [(True, ""), (True, "s3cret"), (False, ""), (False, "s3cret")])
async def test_nodes_client(tmp_path: Path, node_folder: Path, local: bool, key: str) -> None:
    """Every method means over a served hub what it means over Azure's, by both bases, with a key and without."""
    async with served(app, tmp_path / "hub", keys=[key] if key else []) as server:
        binding = server.binding(key)
        if not local:  # with `rpcBaseUrl` it asks there, without the key
            del binding["rpcBaseUrl"]
        done = await trio.run_process(
            ["node", SCRIPT, node_folder, json.dumps(binding)],
            capture_stdout=True,
            capture_stderr=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()

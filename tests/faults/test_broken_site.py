"""A site document that cannot be used: the commands say why, in sentences, and do nothing."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.faults

BROKEN = {
    "missing": None,
    "empty of meaning": b"[queues.sales]\nname = 5\n",
    "not TOML": b'[office\nname = "x',
    "binary": bytes(range(256)),
    "a route to nowhere": b'[lines.one]\nname = "1"\ndevice = "/dev/x"\nroute = "queue:gone"\n',
    "an unknown word": b'[office]\nnmae = "x"\n',
    "a secret's home": b'[phones.101]\nname = "a"\npassword = "hunter2"\n',
}


@pytest.mark.parametrize("why", BROKEN)
async def test_a_broken_site_document_is_refused_with_sentences(tmp_path: Path, why: str) -> None:
    document = tmp_path / "site.toml"
    content = BROKEN[why]
    if content is not None:
        document.write_bytes(content)

    async def centrala(*words: str) -> tuple[int, str]:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "appliance.cli", *words),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await asyncio.wait_for(process.communicate(), 30)
        assert process.returncode is not None
        return process.returncode, said.decode()

    answers = await asyncio.gather(
        centrala("check", str(document)),
        centrala("run", "--site", str(document), "--data", str(tmp_path / "data")),
    )
    for code, said in answers:
        assert code == 1, said
        assert "Traceback" not in said
        assert len(said.split()) >= 5, said
    assert str(document) in answers[1][1]
    assert "hunter2" not in "".join(said for _, said in answers)

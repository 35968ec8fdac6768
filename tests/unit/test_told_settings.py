"""Settings are told without what would let somebody in."""

from __future__ import annotations

from pathlib import Path

from tenure import config
from tenure.config.telling import told


def test_secrets_are_hidden_and_the_rest_is_told(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    hook = '[[notify]]\nurl = "https://user:pw@chat.example.org/hooks/T0KEN?key=T0KEN"\nsecret = "T0KEN"\n'
    path.write_text(f'default_memory = "1G"\n{hook}')
    found = told(config.load(path))
    assert found["default_memory"] == "1G"
    assert found["notify"][0]["url"] == "https://chat.example.org/********"
    assert "T0KEN" not in str(found)
    assert "pw" not in str(found["notify"])

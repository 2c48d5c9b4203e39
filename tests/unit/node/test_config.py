"""Configuration: strict, with errors that name file, line and key; the shipped files are kept in step."""

from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec
import pytest

from node.config import Config, ListenSection, commented_toml, load_config
from node.errors import ConfigError

CONFIGS = Path(__file__).parents[3] / "configs"


def written(folder: Path, text: str) -> Path:
    path = folder / "node.toml"
    path.write_text(text)
    return path


def refused(folder: Path, text: str, environ: dict[str, str] | None = None) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load_config(written(folder, text), environ or {})
    return caught.value


@pytest.mark.parametrize("name", ["local-4.toml", "consortium.toml"])
def test_shipped_file_is_what_the_fields_describe(name: str, tmp_path: Path) -> None:
    text = (CONFIGS / name).read_text()
    header, _, body = text.partition("\n\n")
    assert all(line.startswith("#") for line in header.splitlines())
    assert body == commented_toml(msgspec.convert(tomllib.loads(text), Config)), "write it again with commented_toml"
    assert load_config(written(tmp_path, text), {}).peers


def test_every_field_is_described_and_round_trips(tmp_path: Path) -> None:
    config = Config(peers={"borea": "weal.example:8800", "c-1": 'https://x.example/"quoted"'})
    text = commented_toml(config)
    lines = text.splitlines()
    keys = [index for index, line in enumerate(lines) if " = " in line and not line.startswith("#")]
    assert len(keys) > 35
    undescribed = [
        lines[i] for i in keys if not lines[i - 1].startswith("# ") and not lines[i].startswith(("borea", "c-1"))
    ]
    assert undescribed == []
    assert load_config(written(tmp_path, text), {}) == config.resolve(tmp_path)


def test_empty_file_gives_defaults_with_paths_beside_the_file(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, ""), {})
    assert config.node.data_dir == str(tmp_path / "data")
    assert config.node.passphrase_file == ""
    assert config.listen == ListenSection()


@pytest.mark.parametrize(
    ("text", "line", "key", "words"),
    [
        ("\n[lissten]\nport = 1\n", 2, "lissten", "did you mean listen?"),
        ("[listen]\n\n# a comment\nprt = 1\n", 4, "listen.prt", "did you mean port?"),
        ("[mempool]\nnonsense = 1\n", 2, "mempool.nonsense", "known are max_transactions"),
        ("[listen]\nhost = 'x'\nport = 70000\n", 3, "listen.port", "<= 65535"),
        ("[listen]\nport = '80'\n", 2, "listen.port", "Expected `int`"),
        ("listen = 1\n", 1, "listen", "must be a table"),
        ("[peers]\na = 1\n", 1, "peers", "Expected `str`"),
        ("[log]\nlevel = 'loud'\n", 2, "log.level", "loud"),
        ("[consensus]\nview_timeout_ms = 5_000\nview_timeout_max_ms = 10\n", 3, None, "at least 5000"),
        ("[transport]\nsilence_timeout_ms = 500\n", 2, None, "at least 2000"),
    ],
)
def test_mistake_is_named_with_file_line_and_key(
    tmp_path: Path, text: str, line: int, key: str | None, words: str
) -> None:
    error = refused(tmp_path, text)
    assert error.line == line
    assert key is None or error.key == key
    assert words in str(error)
    assert str(error).startswith(f"{tmp_path / 'node.toml'}:{line}: ")


def test_text_that_is_not_toml_is_refused_with_its_line(tmp_path: Path) -> None:
    assert "line 2" in str(refused(tmp_path, "[listen]\nport = \n"))
    (tmp_path / "node.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="not TOML"):
        load_config(tmp_path / "node.toml", {})
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path / "absent.toml", {})


def test_environment_overrides_the_file(tmp_path: Path) -> None:
    environ = {
        "WEAL_LISTEN_PORT": "9000",
        "WEAL_NODE_ALLOW_PLAIN_KEY": "true",
        "WEAL_CONSENSUS_VIEW_TIMEOUT_MS": "250",
        "WEAL_PEERS_NORTH_MUTUAL": "north.example:1",
        "WEAL_CRASH_AT_WRITE": "3",
        "HOME": "/nowhere",
    }
    config = load_config(written(tmp_path, "[listen]\nport = 1\nhost = '::1'\n"), environ)
    assert config.listen == ListenSection(host="::1", port=9000)
    assert config.node.allow_plain_key is True
    assert config.consensus.view_timeout_ms == 250
    assert config.peers == {"north-mutual": "north.example:1"}


def test_mistake_in_the_environment_names_the_variable(tmp_path: Path) -> None:
    assert refused(tmp_path, "", {"WEAL_LISTEN_PROT": "1"}).key == "WEAL_LISTEN_PROT"
    assert "WEAL_LISTEN_PORT?" in str(refused(tmp_path, "", {"WEAL_LISTEN_PROT": "1"}))
    assert refused(tmp_path, "", {"WEAL_LISTEN_PORT": "many"}).key == "WEAL_LISTEN_PORT"

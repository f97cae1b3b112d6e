"""What DVC is told in a workspace: .dvc/config, which git tracks, so that it holds no secret."""

import importlib.util
from configparser import ConfigParser
from pathlib import Path
from urllib.parse import urlsplit

from mirrorset.errors import SettingsError
from mirrorset.files import written_aside
from mirrorset.masking import hide, hide_password_of

# DVC's options that are a secret, or a half of one, of all the storages that it knows.
_SECRETS = frozenset(
    {
        *("access_key_id", "secret_access_key", "session_token", "sse_customer_key"),
        *("password", "passphrase", "token", "connection_string", "sas_token", "account_key"),
        *("client_secret", "oss_key_id", "oss_key_secret", "gdrive_client_secret"),
    }
)
_NAME = "storage"


def configure(home: Path, remote: str | None, endpoint_url: str | None) -> None:
    """Write .dvc/config: no questions home, our page for plots, and the remote to push to, if any.

    remote: a path is taken from where the command runs; DVC would take it from .dvc. endpoint_url:
    of an S3 server that is not Amazon's. Raises SettingsError where an address holds
    a password, or there is an endpoint and no s3:// remote.
    """
    if endpoint_url is not None and not (remote or "").startswith("s3://"):
        raise SettingsError("--endpoint-url is an S3 server's: give --remote s3://BUCKET/PATH too.")
    file = home / ".dvc" / "config"
    config = _read(file)
    wanted = {"core": {"analytics": "false", "check_update": "false"}}
    if not config.has_option("plots", "html_template"):
        wanted["plots"] = {"html_template": "plots/page.html"}
    if remote is not None:
        wanted["core"]["remote"] = _NAME
        url = remote if "://" in remote else str(Path(remote).absolute())
        section = {"url": url, "endpointurl": endpoint_url}
        wanted[_section(_NAME)] = {name: value for name, value in section.items() if value}
    before = {name: dict(config[name]) for name in config.sections()}
    config.read_dict(wanted)
    _refuse_secrets(config, "The remote's address")
    if {name: dict(config[name]) for name in config.sections()} != before:
        with written_aside(file) as aside, aside.open("w", encoding="utf-8") as out:
            config.write(out)


def refuse_secrets(home: Path) -> None:
    """Raise SettingsError where .dvc/config, which git tracks, holds a credential."""
    file = home / ".dvc" / "config"
    _refuse_secrets(_read(file), str(file))


def hide_secrets(home: Path) -> None:
    """Let `masked` know the credentials in .dvc/config.local, which git does not see."""
    config = _read(home / ".dvc" / "config.local")
    for section in config.sections():
        for option, value in config[section].items():
            hide_password_of(value)
            if option in _SECRETS:
                hide(value)


def remote_url(home: Path) -> str:
    """Address of the remote that releases are pushed to, or ""."""
    config, name = _with_remote(home)
    return config.get(_section(name), "url", fallback=name)


def remote_endpoint(home: Path) -> str:
    """Address of that remote's S3 server, where one is stated, or ""."""
    config, name = _with_remote(home)
    return config.get(_section(name), "endpointurl", fallback="")


def _with_remote(home: Path) -> tuple[ConfigParser, str]:
    config = _read(home / ".dvc" / "config", home / ".dvc" / "config.local")
    return config, config.get("core", "remote", fallback="")


def require_packages(url: str) -> None:
    """Raise SettingsError where the remote needs packages that are not installed."""
    if url.startswith("s3://") and importlib.util.find_spec("dvc_s3") is None:
        raise SettingsError(
            f"The remote {url} needs packages that are not installed: install requirements-s3.lock."
        )


def _read(*files: Path) -> ConfigParser:
    config = ConfigParser(interpolation=None)
    config.read(files, encoding="utf-8")
    return config


def _section(remote: str) -> str:
    return f"'remote \"{remote}\"'"


def _refuse_secrets(config: ConfigParser, where: str) -> None:
    for section in config.sections():
        for option, value in config[section].items():
            if option in _SECRETS or urlsplit(value).password:
                remote = section.strip("'").removeprefix("remote ").strip('"')
                raise SettingsError(
                    f"{where} holds a credential ({remote}: {option}) where git would keep it: "
                    "set it in the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY) or by "
                    f"`dvc remote modify --local {remote} {option} …`, and remove it there."
                )

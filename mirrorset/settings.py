"""Where a workspace keeps its things.

Read from environment variables `MIRRORSET_…` first, then from `mirrorset.toml` in the workspace.
"""

from pathlib import Path
from typing import Literal

import platformdirs
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from mirrorset.errors import SettingsError, first_fault
from mirrorset.masking import hide, hide_password_of, without_user


class Settings(BaseSettings):
    """Settings of one workspace; paths and URLs left empty lie below the workspace.

    catalogue_url: SQLAlchemy address. blobs_url: fsspec address of the original bytes.
    dask_scheduler: address of a Dask cluster that crawls and pre-labels on several machines
    ("tcp://…:8786"); "" for this machine.
    cvat_url: the CVAT server that images are annotated on; "" for archives in a folder. cvat_token:
    an access token of it, better kept in the environment than in a file. cvat_organisation: the
    slug of the organisation there; "" for the token owner's own space. cvat_assignees: user names,
    to whom jobs go in turn; they stand here since params.yaml goes where releases go.
    cvat_webhook_secret: what
    the server signs its deliveries with (`mirrorset annotate listen`), better kept like the token.
    No user or password may stand in cvat_url and dask_scheduler, which are shown.
    cache: folder of verified model weights and fetched packages, shared between
    workspaces. logs: where runs write what they have to say, "file" (`.mirrorset/logs`) or "stderr"
    (for containers); standard output is for results.
    """

    model_config = SettingsConfigDict(env_prefix="MIRRORSET_", frozen=True, extra="forbid")

    catalogue_url: str = Field(default="", repr=False)
    blobs_url: str = Field(default="", repr=False)
    dask_scheduler: str = ""
    cvat_url: str = ""
    cvat_token: SecretStr = SecretStr("")
    cvat_organisation: str = ""
    cvat_assignees: tuple[str, ...] = ()
    cvat_webhook_secret: SecretStr = SecretStr("")
    cache: Path = Path(platformdirs.user_cache_dir("mirrorset"))
    logs: Literal["file", "stderr"] = "file"

    @field_validator("cvat_url", "dask_scheduler")
    @classmethod
    def _names_no_user(cls, address: str) -> str:
        """These are shown, and kept with what was sent there."""
        if without_user(address) != address:
            raise ValueError("no user or password may stand in this address")
        return address

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment before file; the file is named by `read_settings`."""
        return env_settings, init_settings

    @property
    def models(self) -> Path:
        """The folder of model weights."""
        return self.cache / "models"


def read_settings(home: Path) -> Settings:
    """The settings of the workspace at `home`, with every path filled in.

    Raises SettingsError naming the file and the setting that does not fit.
    """
    file = home / "mirrorset.toml"
    try:
        values = TomlConfigSettingsSource(Settings, toml_file=file)() if file.exists() else {}
        settings = Settings(**values)
    except ValidationError as error:
        name, fault = first_fault(error)
        raise SettingsError(f"{name} in {file} or MIRRORSET_{name.upper()}: {fault}.") from None
    except ValueError as error:
        raise SettingsError(f"{file} is not valid TOML: {error}.") from None
    hide(settings.cvat_token.get_secret_value(), settings.cvat_webhook_secret.get_secret_value())
    for address in (settings.catalogue_url, settings.blobs_url, settings.cvat_url):
        hide_password_of(address)
    private = home.resolve() / ".mirrorset"
    return settings.model_copy(
        update={
            "catalogue_url": settings.catalogue_url or f"sqlite:///{private}/catalogue.sqlite",
            "blobs_url": settings.blobs_url or str(private / "blobs"),
        }
    )

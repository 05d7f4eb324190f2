"""Every option once, with its help text; read once from the environment, then frozen."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AliasChoices, Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

CHECKOUT = Path(__file__).resolve().parent.parent


class Settings(BaseSettings):
    """The configuration table; README.md lists the same rows and a test compares them."""

    model_config = SettingsConfigDict(
        env_prefix="VITRINE_", env_ignore_empty=True, frozen=True, populate_by_name=True, extra="ignore"
    )

    host: str = Field("127.0.0.1", description="Address the web server binds to.")
    port: int = Field(8050, ge=1, le=65535, description="Port of the web server.")
    tracking_uri: str = Field(
        "",
        validation_alias=AliasChoices("VITRINE_TRACKING_URI", "MLFLOW_TRACKING_URI"),
        description="MLflow tracking store to show. Unset: a SQLite store in the data folder, filled with demo runs.",
    )
    data_dir: Path = Field(CHECKOUT / "data", description="Folder for everything that Vitrine itself writes.")
    title: str = Field("Vitrine", description="Name shown in the page header and the browser tab.")
    workers: int = Field(2, ge=1, le=64, description="Number of web worker processes.")
    threads: int = Field(8, ge=1, le=256, description="Threads per web worker.")
    sync_interval: float = Field(2.0, ge=0.2, description="Seconds between two looks at the tracking store.")
    min_rows: int = Field(10, ge=1, description="Fewer rows than this are shown as 'too few rows'.")
    slices_file: Path | None = Field(None, description="A slices.yaml used for models whose runs carry none.")
    artifact_cache_mb: int = Field(2048, ge=16, description="Disk budget of the local artifact cache, in MB.")
    result_cache_mb: int = Field(512, ge=16, description="Disk budget of the result cache, in MB.")
    sidecar_rows: int = Field(
        50_000, ge=0, description="Tables with more rows than this are prepared for slicing ahead, in the background."
    )
    sidecar_mb: int = Field(4096, ge=16, description="Disk budget of the tables prepared for slicing, in MB.")
    state_database: str = Field(
        "",
        description="Database of saved slices as an SQLAlchemy address. Unset: a SQLite file in the data folder.",
    )
    sql_engine: str = Field(
        "",
        description="Spark that counts classifications instead of DuckDB: a master such as local[2], or sc://host:port.",
    )
    query_memory_mb: int = Field(256, ge=64, description="Memory limit of one analytic query, in MB.")
    device: str = Field("auto", description="Device of the inference process: auto, cpu, cuda or cuda:<index>.")
    engine_memory_mb: int = Field(2048, ge=64, description="Budget for loaded models in the inference process, in MB.")
    engine_queue: int = Field(64, ge=1, description="Waiting predictions beyond which the engine answers 'busy'.")
    engine_timeout: float = Field(30.0, gt=0, description="Seconds after which a single prediction is given up.")
    engine_threads: int = Field(0, ge=0, description="CPU threads of the inference process; 0: half the cores.")
    serve_onnx: bool = Field(
        False, description="Serve a PyTorch model's ONNX form once it was found to give the same answers."
    )
    preload_models: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Models loaded at start, separated by commas: run ids or name/version."
    )
    max_upload_mb: int = Field(64, ge=1, description="Largest accepted upload, in MB.")
    job_limit: int = Field(2, ge=1, description="Background jobs that run at the same time; further ones wait.")
    job_timeout: float = Field(3600.0, gt=0, description="Seconds after which a background job is stopped.")
    frame_ancestors: str = Field("'self'", description="Origins that may frame the dashboard, separated by spaces.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Verbosity of the logs.")

    @field_validator("preload_models", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("data_dir", mode="after")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @property
    def store_uri(self) -> str:
        """The tracking store's address: the configured one, else SQLite in the data folder."""
        return self.tracking_uri or f"sqlite:///{self.data_dir / 'mlflow.db'}"

    @property
    def state_url(self) -> str:
        """The state database's address: the configured one, else SQLite in the data folder."""
        return self.state_database or f"sqlite:///{self.data_dir / 'state.db'}"

    @property
    def owns_store(self) -> bool:
        """Whether the store is Vitrine's own default one, which may be filled with demo runs."""
        return not self.tracking_uri

    def folder(self, name: str) -> Path:
        """A private folder below the data folder, made on first use."""
        path = self.data_dir / name
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        return path

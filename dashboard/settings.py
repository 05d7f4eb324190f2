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
    workers: int = Field(0, ge=0, le=64, description="Number of web worker processes; 0: one per core, at most 2.")
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
    device: str = Field(
        "auto", description="Devices of the inference processes, one each: auto, cpu, cuda, cuda:<index>, or a list."
    )
    engine_memory_mb: int = Field(2048, ge=64, description="Budget for loaded models in the inference process, in MB.")
    engine_queue: int = Field(64, ge=1, description="Waiting predictions beyond which the engine answers 'busy'.")
    engine_timeout: float = Field(30.0, gt=0, description="Seconds after which a single prediction is given up.")
    engine_threads: int = Field(0, ge=0, description="CPU threads of the inference process; 0: half the cores.")
    engine_host: str = Field("127.0.0.1", description="Address the inference process binds to.")
    engine_port: int = Field(0, ge=0, le=65535, description="Port of the inference process; 0: a free one.")
    engine_key: str = Field(
        "", description="Secret between Vitrine and an inference process elsewhere. Unset: a new one at each start."
    )
    inference_url: str = Field(
        "", description="Inference server that is asked instead of the product's own inference process."
    )
    inference_models: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Models served elsewhere, separated by commas: model=address, model=name/version, model=local.",
    )
    inference_token: str = Field("", description="Bearer token for inference servers elsewhere.")
    environments_mb: int = Field(8192, ge=0, description="Disk budget of models' own environments, in MB; 0: none.")
    environment_idle: float = Field(
        600.0, gt=0, description="Seconds after which the inference process of an own environment is stopped."
    )
    half_precision: bool = Field(
        False, description="Compute in bfloat16 where a model is faster with it and its answers stay the same."
    )
    serve_onnx: bool = Field(
        False, description="Serve a PyTorch model's ONNX form once it was found to give the same answers."
    )
    preload_models: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Models loaded at start, separated by commas: run ids or name/version."
    )
    max_upload_mb: int = Field(64, ge=1, description="Largest accepted upload, in MB.")
    job_limit: int = Field(2, ge=1, description="Background jobs that run at the same time; further ones wait.")
    job_timeout: float = Field(3600.0, gt=0, description="Seconds after which a background job is stopped.")
    auth: Literal["", "none", "proxy", "basic", "oidc"] = Field(
        "", description="Who may enter: none (everybody), proxy, basic or oidc. Unset: everybody, on loopback only."
    )
    auth_proxies: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Networks of the proxies that name the user (proxy), separated by commas, such as 10.0.0.0/8."
    )
    auth_header: str = Field("X-Forwarded-User", description="Header in which such a proxy names the user.")
    auth_passwords: Path | None = Field(None, description="File of name:hash lines (basic); docs/security.md says how.")
    oidc_url: str = Field("", description="Address of the OpenID Connect provider (oidc), without /.well-known.")
    oidc_client: str = Field("", description="Client id at that provider.")
    oidc_secret: str = Field("", repr=False, description="Client secret at that provider.")
    editors: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Users who may change things, separated by commas; group:<name> for a group, * for everybody."
    )
    session_hours: float = Field(12.0, gt=0, description="Hours after which a person signs in again.")
    public_url: str = Field("", description="Address under which browsers reach Vitrine. Unset: as the request says.")
    trusted_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Host names that requests may use, separated by commas. Unset: any."
    )
    predictions_per_minute: int = Field(600, ge=1, description="Predictions of one client per minute, off loopback.")
    uploads_per_minute: int = Field(60, ge=1, description="Uploads of one client per minute, off loopback.")
    jobs_per_minute: int = Field(30, ge=1, description="Background jobs of one client per minute, off loopback.")
    embed_keys: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        repr=False,
        description="Keys that sign embed links, separated by commas, the newest first. Unset: one in the data folder.",
    )
    embed_days: int = Field(90, ge=1, description="Longest life of an embed link, in days.")
    embed_predictions_per_minute: int = Field(60, ge=1, description="Predictions of one embed link per minute.")
    frame_ancestors: str = Field("'self'", description="Origins that may frame the dashboard, separated by spaces.")
    url_prefix: str = Field(
        "", description="Path below which a reverse proxy serves Vitrine, such as /vitrine; taken off the path or not."
    )
    proxy_hops: int = Field(
        0, ge=0, le=9, description="Reverse proxies whose X-Forwarded headers are believed; 0 believes none."
    )
    metrics_token: str = Field(
        "", repr=False, description="Bearer token with which Prometheus reads /metrics without signing in."
    )
    access_log: bool = Field(True, description="One line of JSON per request, in the web server's log.")
    jobs: Literal["local", "celery"] = Field(
        "local", description="Who runs background jobs: a job server on this machine, or Celery workers."
    )
    celery_broker: str = Field(
        "redis://127.0.0.1:6379/0", description="Redis that hands jobs to Celery workers and keeps their results."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Verbosity of the logs.")

    @field_validator(
        "preload_models", "inference_models", "auth_proxies", "editors", "trusted_hosts", "embed_keys", mode="before"
    )
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("url_prefix", mode="after")
    @classmethod
    def _path(cls, value: str) -> str:
        bare = value.strip("/")
        if not all(
            part.replace("-", "").replace("_", "").replace(".", "").isalnum() for part in bare.split("/") if bare
        ):
            raise ValueError("a prefix is a path of letters, digits, '.', '-' and '_', such as /vitrine")
        return f"/{bare}" if bare else ""

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

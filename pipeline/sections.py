"""The sections of params.yaml: their keys, and what each means."""

from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, Lt, MinLen
from pydantic import BaseModel, ConfigDict, Field

from pipeline.data.store import Seed


class Block(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)


class Params(Block):
    engine: dict | None = Field(None, description="where the work is done, which changes no number; none: here")
    compute: dict = Field(description="what the numbers are computed with; all of it changes the last bits of the results")
    data: dict = Field(description="data sets by name")
    evidence: dict = Field(description="settings of likelihood estimation by name")
    calibration: dict = Field(description="the settings with which the estimators are tried where the truth is known")
    runs: dict = Field(description="models, each on a data set, by name")
    claims: dict = Field(description="an autoencoder and a VAE on the same data, on which what is said of them is measured")


class Engine(Block):
    kind: Literal["local", "ray"] = Field(description="in the stage's own process, or in tasks of a Ray cluster")
    address: Annotated[str, MinLen(1)] = Field(
        "auto", description="of the cluster, host:port; auto: the one that this machine is in"
    )
    workers: Annotated[int, Ge(1)] | None = Field(None, description="tasks at once; null: as many as there is room for")
    resources: dict = Field({}, description="what a task is given")


class Resources(Block):
    cpus: Annotated[int, Ge(1)] | None = Field(None, description="null: as many as `compute.threads`")
    gpus: Annotated[int, Ge(0)] | Annotated[float, Gt(0), Lt(1)] = Field(
        0, description="a fraction where several tasks are to share one"
    )
    memory_gb: Annotated[float, Gt(0)] | None = Field(None, description="no more tasks run on a node than it has memory for")


class Data(Block):
    source: str = Field(description="where the images come from: a file `pipeline/data/<source>.py`")
    reads: str = Field(
        description="of the source `file`, the path of your file or folder; of all others, their own file, or of a published "
        "set, which is downloaded otherwise, the path of your copy: its file, or the folder that it is in"
    )


class Run(Block):
    data: str = Field(description="the data set, a name in `data`")
    family: str = Field(description="the model's family, a folder of pipeline/models")
    model: str = Field(description="the model, a file in the folder of its family")
    seeds: Annotated[list[Seed], MinLen(1)] = Field(description="one training each; pages show the first")
    network: dict = Field(description="what the model is built with")
    training: dict = Field(description="how it is trained")
    evidence: str = Field(description="how its likelihood is estimated, a name in `evidence`")
    aims: dict | None = Field(None, description="a published number to be reached, which the index shows")
    beats: dict | None = Field(None, description="runs on the same data, by name, that it is to be better than")
    systems: Annotated[list[str], MinLen(1)] | None = Field(None, description="rows of docs/systems.csv that it shows")


class Aim(Block):
    nats: float = Field(description="the published test NLL")
    within: Annotated[float, Gt(0)] = Field(description="nats by which the run's may be off")
    source: Annotated[str, MinLen(1)] = Field(description="who published it, and where")


class Gain(Block):
    nll: Literal["better", "not worse"] | None = Field(
        None,
        description="better, where the whole 95 % interval of the gain, on the same test images and over the seeds of both, "
        "is above 0; or not worse, where not all of it is below",
    )
    elbo: Literal["better", "not worse"] | None = Field(None, description="the same of the bounds")
    amortisation: Literal["better", "not worse"] | None = Field(
        None, description="the same of what the encoder loses against the best posterior of its family, on annealed images"
    )


class Claims(Block):
    data: str = Field(description="the data set, a name in `data`, with levels and classes")
    ae: str = Field(description="a run of an autoencoder on it, a name in `runs`")
    vae: str = Field(description="a run of a VAE on it, a name in `runs`")


class Calibration(Block):
    latent: str = Field(description="how the estimators for z of real numbers are tried, a name in `evidence`")
    codes: str = Field(description="how those for discrete codes are tried, a name in `evidence`")
    images: Annotated[int, Ge(10), Le(1000)] = Field(description="on which they are tried, and half as many of trained models")
    epochs: Annotated[int, Ge(1), Le(1000)] = Field(
        description="of their training; four times as many of that with two dimensions"
    )

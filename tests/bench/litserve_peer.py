"""LitServe with its dynamic batching and one model; bench_serving starts it with a port and the model's folder."""

import sys
from typing import Any

import litserve
import numpy as np

from tests.bench.serving_peers import torch_model


class Api(litserve.LitAPI):  # type: ignore[misc]
    """The hooks that LitServe calls in its worker."""

    def setup(self, device: str) -> None:
        self.model = torch_model(sys.argv[2])

    def decode_request(self, request: dict[str, Any]) -> Any:
        return np.asarray(request["input"], dtype=np.float32)

    def batch(self, inputs: list[Any]) -> Any:
        return np.stack(inputs)

    def predict(self, values: Any) -> Any:
        return self.model(values)

    def unbatch(self, output: Any) -> Any:
        return list(output)

    def encode_response(self, output: Any) -> dict[str, Any]:
        return {"output": output.tolist()}


if __name__ == "__main__":
    server = litserve.LitServer(Api(max_batch_size=32, batch_timeout=0.002), accelerator="cpu")
    server.run(port=int(sys.argv[1]), host="127.0.0.1", generate_client_file=False, log_level="error")

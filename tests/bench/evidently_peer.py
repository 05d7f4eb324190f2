"""Evidently's classification report on a Parquet file, in an environment of its own: it needs another pandas than ours.

`python evidently_peer.py TABLE ROWS` prints the seconds that the report took; bench_metrics starts it.
"""

import sys
import time

import pandas as pd
from evidently import DataDefinition, Dataset, MulticlassClassification, Report
from evidently.presets import ClassificationPreset


def main() -> None:
    frame = pd.read_parquet(sys.argv[1], columns=["label", "prediction"]).head(int(sys.argv[2])).astype(str)
    task = MulticlassClassification(target="label", prediction_labels="prediction")
    data = Dataset.from_pandas(frame, data_definition=DataDefinition(classification=[task]))
    begin = time.perf_counter()
    Report([ClassificationPreset()]).run(data).dict()
    print(time.perf_counter() - begin)


if __name__ == "__main__":
    main()

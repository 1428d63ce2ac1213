"""Derives `llm_conversation_rates.csv` and `llm_conversation_sizes.csv` from the raw trace, which does not ship.

    python scenarios/data/derive_conversation.py PATH/llm_conversation_trace.csv.gz

What is kept: requests of each whole minute (the unfinished last one is left out), and for each minute the quantiles of
context and generated tokens with their rank correlation, so that requests drawn from them are as large as requests
were at that load. What is lost: the order of requests within a minute.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

PROBABILITIES = range(0, 101, 2)
"""Quantiles that are kept, in percent."""
HERE = Path(__file__).parent


def derived(trace: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Requests, and quantiles of sizes, of each whole minute since the first request.

    trace: columns TIMESTAMP, ContextTokens, GeneratedTokens
    """
    moments = pd.to_datetime(trace["TIMESTAMP"], format="ISO8601")
    seconds = (moments - moments.min()).dt.total_seconds().to_numpy()
    whole = int(seconds.max() // 60)
    by_minute = trace.assign(minute=(seconds // 60).astype(int)).query("minute < @whole").groupby("minute")
    rates = by_minute.size().reindex(range(whole), fill_value=0).rename("requests").reset_index()
    rows: list[dict[str, Any]] = []
    for minute, group in by_minute:
        row: dict[str, Any] = {"minute": minute}
        for name, column in (("tokens_in", "ContextTokens"), ("tokens_out", "GeneratedTokens")):
            found = np.asarray(np.percentile(group[column], list(PROBABILITIES)), dtype=np.float64)
            for percent, value in zip(PROBABILITIES, found.tolist(), strict=True):
                row[f"{name}_q{percent}"] = f"{value:g}"
        ranks = group["ContextTokens"].corr(group["GeneratedTokens"], method="spearman")
        row["rank_correlation"] = f"{ranks:.3f}"
        rows.append(row)
    return rates, pd.DataFrame(rows)


def main(path: str) -> None:
    """Write the two files beside this one."""
    rates, sizes = derived(pd.read_csv(path))
    rates.to_csv(HERE / "llm_conversation_rates.csv", index=False, lineterminator="\n")
    sizes.to_csv(HERE / "llm_conversation_sizes.csv", index=False, lineterminator="\n")


if __name__ == "__main__":
    main(sys.argv[1])

"""Reads results files of ryz into pandas: load(path), load(path, "tokens", run=2), summary(path).

Needs h5py and pandas. Layout and columns: docs/results.md.
"""
import h5py
import numpy as np
import pandas as pd

ABSENT = np.iinfo(np.int64).min  # a time that never came


def _text(value):
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def frame(dataset):
    """A table as a DataFrame: texts decoded, enums by name, byte arrays in hex, absent times NaT."""
    rows, columns = dataset[:], {}
    units = dict(zip(map(_text, dataset.attrs["columns"]), map(_text, dataset.attrs["units"])))
    for name in rows.dtype.names:
        kind, values = dataset.dtype[name], rows[name]
        names = h5py.check_enum_dtype(kind)
        if names is not None:
            columns[name] = pd.Categorical.from_codes(
                [list(names.values()).index(v) if v in names.values() else -1 for v in values],
                list(names))
        elif values.ndim > 1:
            columns[name] = [bytes(v).hex() for v in values]
        elif kind.kind == "S":
            columns[name] = [_text(v) for v in values]
        elif units.get(name) == "ns" and kind == np.int64:
            columns[name] = pd.to_timedelta(np.where(values == ABSENT, pd.NaT.value, values))
        else:
            columns[name] = values
    result = pd.DataFrame(columns)
    result.attrs = {"title": _text(dataset.attrs["title"]), "units": units}
    return result


def runs(path):
    """The runs of a file: point, repeat, label, valid, ..."""
    with h5py.File(path) as f:
        rows = []
        for name in sorted(n for n in f if n.startswith("run")):
            a = f[name].attrs
            rows.append({"run": name, **{k: _text(a[k]) if a[k].dtype.kind == "S" else a[k]
                                         for k in ("point", "repeat", "seed", "label", "driver",
                                                   "model", "valid", "invalid_reason")}})
        return pd.DataFrame(rows)


def load(path, table="requests", run=0):
    """One table of one run; for requests also ttft, tpot and e2e in seconds (inf: failed)."""
    with h5py.File(path) as f:
        data = frame(f[f"run{run:04d}/{table}"])
        if table != "requests":
            return data
        data["phase"] = pd.Categorical.from_codes(
            data["phase"], [_text(p) for p in f[f"run{run:04d}"].attrs["phases"]])
    ok = data["status"] == "ok"
    failed = ~ok & ~data["status"].isin(["cancelled", "dropped_by_harness"])
    for name, begin, end in (("ttft", "t_sched", "t_first"), ("e2e", "t_sched", "t_done")):
        seconds = (data[end] - data[begin]).dt.total_seconds().where(ok)
        data[name] = seconds.mask(failed, np.inf)
    gaps = (data["out_tok"].astype(float) - 1).where(data["out_tok"] > 1)
    data["tpot"] = ((data["t_last"] - data["t_first"]).dt.total_seconds() / gaps).where(ok)
    data["tpot"] = data["tpot"].mask(failed & (data["want_tok"] != 1), np.inf)
    return data


def summary(path):
    """The summaries of all runs, one row a metric and statistic, with the point's label."""
    with h5py.File(path) as f:
        tables = []
        for name in sorted(n for n in f if n.startswith("run")):
            if "summary" not in f[name]:
                continue
            table = frame(f[name]["summary"])
            table.insert(0, "run", name)
            table.insert(1, "label", _text(f[name].attrs["label"]))
            tables.append(table)
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def scenario(path):
    """The scenario file as it was written."""
    with h5py.File(path) as f:
        return _text(f["provenance/scenario_ini"][()])


def percentile(values, p):
    """Exact, by nearest rank, as ryz computes it."""
    ordered = np.sort(np.asarray(values.dropna()))
    return ordered[max(int(np.ceil(p * len(ordered) - 1e-9 * len(ordered))), 1) - 1]

"""Parquet files from plain rows, written in portions: memory does not grow with the number of rows."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from synthetic_instruction_tuner.data_files.atomic_writing import Row, atomic_file, write_error

if TYPE_CHECKING:
    import pyarrow as pa

PORTION = 1000  # rows of a row group
INT64 = range(-(2**63), 2**63)


def write_parquet(path: Path, rows: Iterable[Row]) -> int:
    """Writes a Parquet file and returns the number of rows.

    Columns are those of all rows. Objects, and columns of mixed types, are stored as JSON text; lists of messages stay
    lists. Lone surrogates, which Parquet's texts cannot hold, become question marks. A column's type depends on all
    its values, so the rows first go to an unnamed temporary file, which disappears however the process ends.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent) as aside:
            count = 0
            for row in rows:
                aside.write(json.dumps(dict(row) if isinstance(row, Mapping) else row.to_json()).encode() + b"\n")
                count += 1
            schema = _schema(aside)
            with atomic_file(path) as stream, pq.ParquetWriter(stream, schema, compression="zstd") as writer:
                for portion in _portions(aside):
                    columns = [pa.array([_fitted(row.get(f.name), f.type) for row in portion], f.type) for f in schema]
                    writer.write_table(pa.table(columns, schema=schema))
    except OSError as error:
        raise write_error(path, error) from error
    return count


def _schema(stream: IO[bytes]) -> pa.Schema:
    """Returns for each column the type that holds all its values; text where only JSON does."""
    import pyarrow as pa

    types: dict[str, set[Any]] = {}
    for portion in _portions(stream):
        for row in portion:
            for name, value in row.items():
                kind = pa.string() if isinstance(value, dict) else _type_of(value)
                types.setdefault(name, set()).add(kind)
    return pa.schema([(name, _settled(_unified(kinds))) for name, kinds in types.items()])


def _type_of(value: Any) -> pa.DataType:
    """Returns the type of one value."""
    import pyarrow as pa

    if isinstance(value, str):
        return pa.string()
    if isinstance(value, dict):
        return pa.struct([(name, _type_of(part)) for name, part in value.items()])
    if isinstance(value, list):
        return pa.list_(_unified({_type_of(part) for part in value}))
    if isinstance(value, int) and value not in INT64:
        return pa.string()
    return {type(None): pa.null(), bool: pa.bool_(), int: pa.int64()}.get(type(value), pa.float64())


def _unified(kinds: set[pa.DataType]) -> pa.DataType:
    """Returns the type that holds values of all these types."""
    import pyarrow as pa

    if len(kinds) < 2:
        return next(iter(kinds), pa.null())
    try:
        schemas = [pa.schema([("value", kind)]) for kind in sorted(kinds, key=str)]
        return pa.unify_schemas(schemas, promote_options="permissive").field(0).type
    except pa.ArrowException:
        return pa.string()


def _settled(kind: pa.DataType) -> pa.DataType:
    """Returns the type, with a default where no value determines it: text, or a list of messages."""
    import pyarrow as pa

    if pa.types.is_null(kind):
        return pa.string()
    if pa.types.is_list(kind) and pa.types.is_null(kind.value_type):
        return pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
    return kind


def _portions(stream: IO[bytes]) -> Iterator[list[dict[str, Any]]]:
    stream.seek(0)
    while portion := [json.loads(line) for line in islice(stream, PORTION)]:
        yield portion


def _fitted(value: Any, kind: pa.DataType) -> Any:
    """Returns the value converted to the type: valid UTF-8, and JSON where the type is text and the value is not."""
    import pyarrow as pa

    if value is None or pa.types.is_null(kind):
        return None
    if pa.types.is_string(kind):
        text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
        return text.encode("utf-8", "replace").decode()
    if pa.types.is_list(kind):
        return [_fitted(part, kind.value_type) for part in value]
    if pa.types.is_struct(kind):
        return {field.name: _fitted(value.get(field.name), field.type) for field in kind}
    return float(value) if pa.types.is_floating(kind) else value

"""Reads the tensors' names and shapes of a PyTorch checkpoint (``pytorch_model.bin``) without unpickling it.

A pickle is a program. Here its few instructions that build a table of tensors are followed on plain values: nothing
is imported, called or allocated. Whatever else it asks for is a fault, as it is to torch's ``weights_only`` loader.
What the table says is compared with the bytes that are there: the entries of the zip archive, or what follows the
pickle in files of before PyTorch 1.6.
"""

from __future__ import annotations

import errno
import io
import pickletools
import re
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from synthetic_instruction_tuner.models.file_checks.checked_files import Unsound

ZIP = b"PK\x03\x04"
OLD = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."  # a pickle of the number that files before PyTorch 1.6 begin with
_LONGEST = 64 << 20  # bytes of a pickle; a table of ten thousand tensors takes two MB
_SAFETENSORS = "Use a model with safetensors weights, or one that was saved with model.save_pretrained()."
_BYTES = {"Double": 8, "Long": 8, "Float": 4, "Int": 4, "Half": 2, "BFloat16": 2, "Short": 2, "Char": 1, "Byte": 1,
          "Bool": 1, "ComplexFloat": 8, "ComplexDouble": 16}  # fmt: skip
_TORCH = re.compile(r"\w+Storage|(u?int|float|bfloat|complex|qu?int|bits)\d\w*|bool|half|double|long|short")
_REBUILD = ("_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_tensor_v3")
# What else weights_only accepts; none of it is a tensor, so it is carried along unread.
_HARMLESS = {
    ("collections", "OrderedDict"), ("collections", "Counter"), ("torch", "Size"), ("torch", "device"),
    ("torch.serialization", "_get_layout"), ("_codecs", "encode"), ("builtins", "set"), ("builtins", "bytearray"),
    ("__builtin__", "set"), ("__builtin__", "bytearray"),
}  # fmt: skip
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_NEW: dict[str, Callable[[], Any]] = {"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple, "EMPTY_SET": set}
_MARK = object()
# What reading a damaged file raises: RuntimeError for an archive that seems encrypted, EOFError for a short entry.
_OF_DAMAGE = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RuntimeError, EOFError, OSError,
              struct.error)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Name:
    """Something that the pickle imports."""

    module: str
    name: str


@dataclass(frozen=True, slots=True)
class _Storage:
    """Numbers in a row: their key in the file, how many, and the bytes of each."""

    key: str
    count: int
    width: int


@dataclass(frozen=True, slots=True)
class _Tensor:
    storage: _Storage
    shape: tuple[int, ...]
    last: int  # the number of the storage that it reaches to


def pickled_tensors(file: Path, size: int) -> dict[str, tuple[int, ...]]:
    """Returns the tensors of a checkpoint with their shapes.

    Raises:
        Unsound, OSError: it is no checkpoint, it is cut off, or it holds more than tensors.
    """
    try:
        with file.open("rb") as stream:
            first = stream.read(len(OLD))
            stream.seek(0)
            if first.startswith(ZIP):
                return _of_archive(file, stream, size)
            if first == OLD:
                return _of_old_file(file, stream, size)
    except (zipfile.BadZipFile, *_OF_DAMAGE) as error:
        if isinstance(error, Unsound) or (isinstance(error, OSError) and error.errno != errno.EINVAL):
            raise  # EINVAL: a place before the file's beginning was looked for
        raise Unsound(file, f"is cut off or damaged ({size:,} bytes; {_reason(error)})") from None
    raise Unsound(file, f"is no PyTorch checkpoint ({size:,} bytes; it begins with {first[:8]!r})")


def _of_archive(file: Path, stream: BinaryIO, size: int) -> dict[str, tuple[int, ...]]:
    archive = zipfile.ZipFile(stream)
    entries = {entry.filename: entry for entry in archive.infolist()}
    table = next((entry for name, entry in entries.items() if name.split("/")[1:] == ["data.pkl"]), None)
    if table is None:
        raise Unsound(file, "is a zip archive, and no PyTorch checkpoint: it has no data.pkl")
    if table.compress_type != zipfile.ZIP_STORED or table.file_size > _LONGEST:
        raise Unsound(file, "is a zip archive that PyTorch did not write: its data.pkl is compressed or too long")
    found = _table(file, _followed(file, io.BytesIO(archive.read(table))))
    folder = table.filename.split("/")[0]
    for name, tensor in found.items():
        entry = entries.get(f"{folder}/data/{tensor.storage.key}")
        if entry is None or entry.header_offset + entry.file_size > size:
            raise Unsound(file, f"is damaged: the numbers of {name} are not in it")
        _check_length(file, name, tensor, entry.file_size)
    return {name: tensor.shape for name, tensor in found.items()}


def _of_old_file(file: Path, stream: BinaryIO, size: int) -> dict[str, tuple[int, ...]]:
    pickles = io.BytesIO(stream.read(_LONGEST))
    for _ in range(3):  # the number at the beginning, the version, facts about the machine
        _followed(file, pickles)
    found = _table(file, _followed(file, pickles))
    keys = _followed(file, pickles)
    storages = {tensor.storage.key: tensor.storage for tensor in found.values()}
    place = pickles.tell()
    for key in keys:
        if key in storages:
            place += 8 + storages[key].count * storages[key].width
    if place > size:
        raise Unsound(file, f"is cut off: it has {size:,} bytes of {place:,}")
    for name, tensor in found.items():
        if tensor.storage.key not in keys:
            raise Unsound(file, f"is damaged: the numbers of {name} are not in it")
        _check_length(file, name, tensor, tensor.storage.count * tensor.storage.width)
    return {name: tensor.shape for name, tensor in found.items()}


def _check_length(file: Path, name: str, tensor: _Tensor, length: int) -> None:
    if tensor.storage.count * tensor.storage.width != length or tensor.last > tensor.storage.count:
        raise Unsound(file, f"is damaged: the numbers of {name} are {length:,} bytes, which does not fit its shape")


def _table(file: Path, value: object) -> dict[str, _Tensor]:
    """Returns the table of tensors that a pickle holds."""
    if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
        raise _more(file, f"a {type(value).__name__}")
    if others := [name for name, one in value.items() if not isinstance(one, _Tensor)]:
        raise _more(file, f"{others[0]!r}, which is no tensor")
    return value


def _more(file: Path, what: str) -> Unsound:
    return Unsound(file, f"is a pickle with more than tensors in it: {what}", _SAFETENSORS)


def _followed(file: Path, stream: io.BytesIO) -> Any:
    """Follows one pickle's instructions and returns what it builds."""
    stack: list[Any] = []
    memo: dict[int, Any] = {}

    def since_mark() -> list[Any]:
        place = len(stack) - 1 - stack[::-1].index(_MARK)
        items = stack[place + 1 :]
        del stack[place:]
        return items

    for code, argument, _ in pickletools.genops(stream):
        name, arg = code.name, cast("Any", argument)
        if name in ("PROTO", "FRAME"):
            continue
        if name == "STOP":
            return stack.pop()
        if name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name in _NEW:
            stack.append(_NEW[name]())
        elif name == "MARK":
            stack.append(_MARK)
        elif name in ("BINPUT", "LONG_BINPUT", "PUT"):
            memo[arg] = stack[-1]
        elif name == "MEMOIZE":
            memo[len(memo)] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET", "GET"):
            stack.append(memo[arg])
        elif name in ("TUPLE1", "TUPLE2", "TUPLE3"):
            count = int(name[-1])
            stack[-count:] = [tuple(stack[-count:])]
        elif name in ("TUPLE", "LIST"):
            stack.append(tuple(since_mark()))
        elif name == "DICT":
            items = since_mark()
            stack.append(_filled(file, {}, items))
        elif name == "SETITEM":
            items = [stack.pop() for _ in range(2)][::-1]
            _filled(file, stack[-1], items)
        elif name == "SETITEMS":
            items = since_mark()
            _filled(file, stack[-1], items)
        elif name == "APPEND":
            item = stack.pop()
            stack[-1].append(item)
        elif name in ("APPENDS", "ADDITEMS"):
            items = since_mark()
            if isinstance(stack[-1], list):
                stack[-1].extend(items)
        elif name in ("GLOBAL", "STACK_GLOBAL"):
            words = arg.split(" ", 1) if name == "GLOBAL" else [stack.pop() for _ in range(2)][::-1]
            stack.append(_imported(file, _Name(*map(str, words))))
        elif name == "BINPERSID":
            stack.append(_storage(file, stack.pop()))
        elif name in ("REDUCE", "NEWOBJ"):
            given = stack.pop()
            stack.append(_called(file, stack.pop(), given))
        elif name == "BUILD":
            stack.pop()  # an attribute of the table, such as the modules' versions
        elif isinstance(arg, (int, float, str, bytes)):
            stack.append(arg)
        else:
            raise _more(file, f"the instruction {name}")
    raise ValueError("the pickle has no end")


def _filled(file: Path, table: Any, items: list[Any]) -> Any:
    if not isinstance(table, dict) or not all(isinstance(key, (str, int)) for key in items[::2]):
        raise _more(file, "a table with other keys than names")
    table.update(zip(items[::2], items[1::2], strict=True))
    return table


def _imported(file: Path, found: _Name) -> _Name:
    of_torch = found.module == "torch" and _TORCH.fullmatch(found.name) is not None
    known = (
        (found.module, found.name) in _HARMLESS
        or (found.module == "torch._utils" and found.name.startswith("_rebuild_"))
        or (found.module, found.name) in {("torch.nn.parameter", "Parameter"), ("torch.storage", "UntypedStorage")}
    )
    if not (known or of_torch):
        raise _more(file, f"{found.module}.{found.name}"[:120])
    return found


def _storage(file: Path, given: Any) -> _Storage:
    if not (isinstance(given, tuple) and len(given) >= 5 and given[0] == "storage" and isinstance(given[1], _Name)):
        raise _more(file, "a reference to something outside of it")
    width = _BYTES.get(given[1].name.removesuffix("Storage"), 1)
    return _Storage(str(given[2]), int(given[4]), width)


def _called(file: Path, function: Any, given: Any) -> Any:
    if not isinstance(function, _Name):
        raise _more(file, "a call of something that is no function")
    if function.name in _REBUILD:
        storage, start, shape, strides = given[:4]
        if function.name.endswith("v3"):
            return _Tensor(storage, tuple(shape), 0)
        if not isinstance(storage, _Storage) or min((start, *shape, *strides), default=0) < 0:
            raise ValueError("a tensor's sizes are negative")
        reach = sum((n - 1) * step for n, step in zip(shape, strides, strict=True)) if 0 not in shape else -1
        return _Tensor(storage, tuple(shape), start + reach + 1)
    if function.name in ("_rebuild_parameter", "Parameter"):
        return given[0]
    if function.name in ("OrderedDict", "Counter"):
        return _filled(file, {}, [part for pair in given[0] for part in pair]) if given else {}
    return function  # such as a device or a layout


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:100] or type(error).__name__

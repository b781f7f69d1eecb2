"""Damage to models: of their bytes, and of the fields that their formats consist of.

A mutation is a function of the file's bytes, of another file's, and of ``choose(n)``, a number below n; so whoever
chooses can repeat and simplify it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Any

import onnx
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message

Choose = Callable[[int], int]
Mutation = Callable[[bytes, bytes, Choose], bytes]

NUMBERS = (0, 1, -1, 2, 3, 4, 5, 7, 8, 16, 127, 128, 255, 256, -128, -2, 1000, 1 << 16, 1 << 24, 1 << 30, (1 << 31) - 1,
           -(1 << 31), 1 << 31, 1 << 40, (1 << 62), (1 << 63) - 1, -(1 << 63))  # fmt: skip
REALS = (0.0, 1.0, -1.0, 0.5, 1e-30, 1e30, 1e-45, float("inf"), float("-inf"), float("nan"))
WORDS = (b"", b"x", b"\n", b"\xff\xfe", b"../x", b"/etc/passwd", b"a" * 300)


def flip(data: bytes, other: bytes, choose: Choose) -> bytes:
    """Some bytes become others."""
    damaged = bytearray(data)
    for _ in range(1 + choose(4)):
        if damaged:
            damaged[choose(len(damaged))] = choose(256)
    return bytes(damaged)


def truncate(data: bytes, other: bytes, choose: Choose) -> bytes:
    return data[: choose(len(data) + 1)]


def splice(data: bytes, other: bytes, choose: Choose) -> bytes:
    """A piece of the other file, over or into this one."""
    start, length = choose(len(other) + 1), choose(65)
    place = choose(len(data) + 1)
    return data[:place] + other[start : start + length] + data[place + choose(length + 1) :]


def word(data: bytes, other: bytes, choose: Choose) -> bytes:
    """One aligned number: FlatBuffers consist of them, be they values, lengths or places."""
    size = (1, 2, 4, 8)[choose(4)]
    if len(data) < size:
        return data
    place = choose(len(data) // size) * size
    kind = choose(4)
    if kind == 0:
        new = (NUMBERS[choose(len(NUMBERS))] % (1 << 8 * size)).to_bytes(size, "little")
    elif kind == 1:
        source = choose(len(data) // size) * size
        new = data[source : source + size]
    elif kind == 2:
        old = int.from_bytes(data[place : place + size], "little")
        new = ((old + choose(17) - 8) % (1 << 8 * size)).to_bytes(size, "little")
    else:
        new = struct.pack("<f", REALS[choose(len(REALS))])[:size]
    return data[:place] + new + data[place + len(new) :]


def field(data: bytes, other: bytes, choose: Choose) -> bytes:
    """One field of an ONNX model."""
    model, donor = parsed(data), parsed(other)
    if model is None:
        return flip(data, other, choose)
    places = [place for message in messages(model) for place in fields(message)]
    message, descriptor = places[choose(len(places))]
    if descriptor.is_repeated:
        _change_list(getattr(message, descriptor.name), descriptor, model, donor or model, choose)
    else:
        _change_one(message, descriptor, model, donor or model, choose)
    return model.SerializeToString()


def parsed(data: bytes) -> onnx.ModelProto | None:
    try:
        return onnx.load_model_from_string(data)
    except (DecodeError, ValueError):
        return None


def messages(message: Message) -> Iterator[Message]:
    """The message and all within it."""
    yield message
    for descriptor, value in message.ListFields():
        if descriptor.type == FieldDescriptor.TYPE_MESSAGE:
            for inner in value if descriptor.is_repeated else (value,):
                yield from messages(inner)


def fields(message: Message) -> Iterator[tuple[Message, Any]]:
    """Its fields: those that are set twice, so that they are chosen more often than those that are not."""
    for descriptor in message.DESCRIPTOR.fields:
        yield message, descriptor
    for descriptor, _ in message.ListFields():
        yield message, descriptor


def _change_list(values: Any, descriptor: Any, model: Message, donor: Message, choose: Choose) -> None:
    kind, place = choose(5), choose(len(values)) if len(values) else 0
    if kind == 0 and len(values):
        del values[place]
    elif kind == 1 and len(values):
        values.extend([values[place]])
    elif kind == 2 and len(values) > 1:
        order = [*values]
        order.insert(choose(len(order)), order.pop(place))
        del values[:]
        values.extend(order)
    elif descriptor.type == FieldDescriptor.TYPE_MESSAGE:
        found = alike(donor, descriptor)
        if found:
            values.add().CopyFrom(found[choose(len(found))])
    elif kind == 3 or not len(values):
        values.append(value_of(descriptor, model, donor, choose))
    else:
        values[place] = value_of(descriptor, model, donor, choose)


def _change_one(message: Message, descriptor: Any, model: Message, donor: Message, choose: Choose) -> None:
    if choose(4) == 0:
        message.ClearField(descriptor.name)
    elif descriptor.type == FieldDescriptor.TYPE_MESSAGE:
        found = alike(donor, descriptor)
        if found:
            getattr(message, descriptor.name).CopyFrom(found[choose(len(found))])
    else:
        setattr(message, descriptor.name, value_of(descriptor, model, donor, choose))


def alike(donor: Message, descriptor: Any) -> list[Message]:
    """Messages of the field's type, copied: what is put into itself would never end."""
    found = [message for message in messages(donor) if message.DESCRIPTOR is descriptor.message_type]
    return [type(message).FromString(message.SerializePartialToString()) for message in found]


def value_of(descriptor: Any, model: Message, donor: Message, choose: Choose) -> Any:
    """Another value for a field that holds no message: an extreme one, or one that stands elsewhere."""
    if descriptor.type in (FieldDescriptor.TYPE_FLOAT, FieldDescriptor.TYPE_DOUBLE):
        return REALS[choose(len(REALS))]
    if descriptor.type == FieldDescriptor.TYPE_ENUM:
        values = descriptor.enum_type.values
        return values[choose(len(values))].number
    if descriptor.type in (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES):
        known = sorted({text for source in (model, donor) for text in texts(source)})
        word = known[choose(len(known))] if choose(4) and known else WORDS[choose(len(WORDS))]
        return word if descriptor.type == FieldDescriptor.TYPE_BYTES else word.decode("utf-8", "replace")
    number = NUMBERS[choose(len(NUMBERS))] if choose(2) else choose(32) - 2
    if descriptor.type in (FieldDescriptor.TYPE_INT32, FieldDescriptor.TYPE_SINT32):
        return (number + (1 << 31)) % (1 << 32) - (1 << 31)
    return abs(number) if descriptor.type == FieldDescriptor.TYPE_UINT64 else number


def texts(message: Message) -> Iterator[bytes]:
    """Every string within."""
    for inner in messages(message):
        for descriptor, value in inner.ListFields():
            if descriptor.type in (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES):
                for text in value if descriptor.is_repeated else (value,):
                    yield text.encode("utf-8", "replace") if isinstance(text, str) else text


MUTATIONS: dict[str, tuple[Mutation, ...]] = {
    ".onnx": (field, field, field, field, flip, truncate, splice),
    ".tflite": (word, word, word, word, flip, truncate, splice),
}

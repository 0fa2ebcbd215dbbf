"""Serializers: what turns values into the bytes of messages, and back. [ENV-SER-1]

    get_broker(url, serializer="json")                      # data only
    get_broker(f"{url}?serializer=signed+json")             # with the keys in WORQ_SECRET
    get_broker(url, serializer=Signed(Json(), keys=[new, old]))

`Pickle` is the one that is used unless told otherwise, and **pickles execute code**: whoever can
write to a queue's server can run anything in its workers and clients. docs/security.md.
"""

from typing import TYPE_CHECKING

from worq import lazily
from worq.serializer.choice import NAMES, PICKLE, check_name, name_of, named, resolve
from worq.serializer.seam import (
    SECRET,
    SIGNATURE,
    Decode,
    Encode,
    Kind,
    NotPlain,
    Place,
    Sealing,
    Serializer,
    StandIn,
    check_serializer,
)

if TYPE_CHECKING:
    from worq.serializer.pickles import Pickle, restored
    from worq.serializer.plain import Json, MsgPack
    from worq.serializer.signed import Signed
else:
    __getattr__ = lazily.attributes(
        __name__,
        {
            "worq.serializer.pickles": ("Pickle", "restored"),
            "worq.serializer.plain": ("Json", "MsgPack"),
            "worq.serializer.signed": ("Signed",),
        },
    )

__all__ = [
    "NAMES",
    "PICKLE",
    "SECRET",
    "SIGNATURE",
    "Decode",
    "Encode",
    "Json",
    "Kind",
    "MsgPack",
    "NotPlain",
    "Pickle",
    "Place",
    "Sealing",
    "Serializer",
    "Signed",
    "StandIn",
    "check_name",
    "check_serializer",
    "name_of",
    "named",
    "resolve",
    "restored",
]

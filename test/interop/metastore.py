"""A client of the metastore that behaves as the real ones do: one current node, hints, retries, no favourites.

Written from the contract (how the real client finds and picks a node); the transport is Debian's or PyPI's grpcio.
"""

import random
import time

import grpc

HINT_TRAILER = "grpc-status-details-bin"
HINT_TYPE = "type.googleapis.com/raft_node.RaftNode"
ATTEMPTS_MAX = 50
CALL_LIMIT_S = 20.0
MESSAGE_MAX_BYTES = 104857600
# A ping on an idle connection every 20 s, as the real client sends them.
CHANNEL_OPTIONS = [
    ("grpc.max_receive_message_length", MESSAGE_MAX_BYTES),
    ("grpc.max_send_message_length", MESSAGE_MAX_BYTES),
    ("grpc.keepalive_time_ms", 20000),
    ("grpc.keepalive_timeout_ms", 10000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    # After a restart the next try comes soon: the tests wait for it.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 500),
    # Without it the address is not looked up again for 30 s after a refused connection, and no try is made.
    ("grpc.dns_min_time_between_resolutions_ms", 100),
]


def key_of(server_id):
    """Ids are cut at the last colon: the ports of discovery and of the members differ."""
    return server_id.rsplit(":", 1)[0] if ":" in server_id else server_id


class Node:
    """One address and its connection, made when it is first needed."""

    def __init__(self, protos, server_id, address, compression=None):
        self.server_id = server_id
        self.address = address
        self._protos = protos
        self._compression = compression
        self._channel = None

    def call(self, method, fields=None, timeout=10.0, **options):
        """One attempt. Raises grpc.RpcError."""
        request_type, response_type, is_stream = self._protos.methods[method]
        if self._channel is None:
            self._channel = grpc.insecure_channel(
                self.address, options=CHANNEL_OPTIONS, compression=self._compression
            )
        make = self._channel.unary_stream if is_stream else self._channel.unary_unary
        stub = make(
            method,
            request_serializer=request_type.SerializeToString,
            response_deserializer=response_type.FromString,
        )
        return stub(request_type(**(fields or {})), timeout=timeout, **options)

    def raw(self, method, body, timeout=10.0):
        """Bytes as they are, answered as they are."""
        self.call("/grpc.health.v1.Health/Check")
        stub = self._channel.unary_unary(method, lambda value: value, lambda value: value)
        return stub(body, timeout=timeout)

    def close(self):
        if self._channel is not None:
            self._channel.close()
        self._channel = None


class Attempts:
    """What one call took: (key, code or None, hinted key or None) for each attempt."""

    def __init__(self):
        self.list = []

    @property
    def refused(self):
        return [attempt for attempt in self.list if attempt[1] is not None]


class Client:
    """A static list of nodes and the loop around every call."""

    def __init__(self, protos, nodes, seed):
        self._protos = protos
        self._random = random.Random(seed)
        self._nodes = {key_of(node.server_id): node for node in nodes}
        self.current = None

    def call(self, method, fields=None):
        """(answer, Attempts). Raises the last error when nothing helps, at once for INVALID_ARGUMENT."""
        end_at = time.monotonic() + CALL_LIMIT_S
        attempts = Attempts()
        pause = 0.01
        while True:
            if self.current not in self._nodes:
                self.current = self._random.choice(sorted(self._nodes))
            key = self.current
            try:
                left = end_at - time.monotonic()
                answer = self._nodes[key].call(method, fields, timeout=max(left, 0.001))
                attempts.list.append((key, None, None))
                return answer, attempts
            except grpc.RpcError as error:
                hinted = hint_of(self._protos, error)
                attempts.list.append((key, error.code(), hinted))
                is_last = len(attempts.list) >= ATTEMPTS_MAX or time.monotonic() >= end_at
                if error.code() == grpc.StatusCode.INVALID_ARGUMENT or is_last:
                    error.attempts = attempts
                    raise
                self.current = hinted if hinted in self._nodes else self._random.choice(sorted(self._nodes))
            time.sleep(pause + self._random.random() * pause)
            pause = min(pause * 2, 0.08)


def trailer_of(error):
    """Every value of the details trailer, as bytes."""
    return [value for name, value in (error.trailing_metadata() or ()) if name == HINT_TRAILER]


def hint_of(protos, error):
    """Key of the leader that an error names, or None. Hints count with UNAVAILABLE alone, and with one trailer."""
    values = trailer_of(error)
    if error.code() != grpc.StatusCode.UNAVAILABLE or len(values) != 1:
        return None
    status = protos.message("google.rpc.Status").FromString(values[0])
    # The real client makes an INTERNAL of it, and loses the hint.
    if status.code != error.code().value[0]:
        return None
    for detail in status.details:
        if detail.type_url.rsplit("/", 1)[-1] == "raft_node.RaftNode":
            return key_of(protos.message("raft_node.RaftNode").FromString(detail.value).id)
    return None


def encoded_hint(message, server_id, address):
    """The trailer as the contract writes it, put together by hand: one status, one detail, fields in order."""

    def part(tag, value):
        assert len(value) < 128, "one byte of length is enough here"
        return bytes([tag, len(value)]) + value

    node = part(0x0A, server_id.encode()) + part(0x12, address.encode())
    detail = part(0x0A, HINT_TYPE.encode()) + part(0x12, node)
    return bytes([0x08, 14]) + part(0x12, message.encode()) + part(0x1A, detail)

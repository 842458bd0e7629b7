"""What an independent gRPC implementation finds at a cluster of three: every method, the hint, health, compression.

    python3 checks.py '{"schemas": ..., "nodes": [{"id": ..., "address": ...}, ...], "seed": 1}'

Prints a line of JSON for each check; asks for what must happen to processes and reads the answer from stdin. The nodes are
not started yet.
"""

import concurrent.futures
import json
import os
import sys
import threading
import time

import grpc

from control import ask, describe, equal, say, true, until
from metastore import Client, Node, encoded_hint, hint_of, key_of, trailer_of
from protos import Protos

ADD = "/metastore.v1.IndexService/AddBlock"
GET = "/metastore.v1.IndexService/GetBlockMetadata"
QUERY = "/metastore.v1.MetadataQueryService/QueryMetadata"
LABELS = "/metastore.v1.MetadataQueryService/QueryMetadataLabels"
TENANTS = "/metastore.v1.TenantService/GetTenants"
TENANT = "/metastore.v1.TenantService/GetTenant"
DELETE = "/metastore.v1.TenantService/DeleteTenant"
POLL = "/metastore.v1.CompactionService/PollCompactionJobs"
RAFT = "/raft_node.RaftNodeService/"
HEALTH = "/grpc.health.v1.Health/"
SERVICE = "pyroscope.metastore"
SUCCESS = 2
CODE = grpc.StatusCode
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def ulid(number, at_ms):
    """An id whose time is `at_ms` and whose rest is `number`."""
    value = (at_ms << 80) | number
    return "".join(ALPHABET[(value >> shift) & 31] for shift in range(125, -1, -5))


class World:
    def __init__(self, plan):
        self.protos = Protos(plan["schemas"])
        self.nodes = [Node(self.protos, node["id"], node["address"]) for node in plan["nodes"]]
        self.peers = {node["id"]: node["peer"] for node in plan["nodes"]}
        self.client = Client(self.protos, self.nodes, plan["seed"])
        self.bucket = plan["bucket"]
        self.now_ms = int(time.time() * 1000)
        self.blocks_made = 0

    def node(self, server_id):
        return next(node for node in self.nodes if key_of(node.server_id) == key_of(server_id))

    def block(self, tenant="acme", shard=1, service="web", level=1):
        """A block as a segment writer or a compaction worker describes it."""
        self.blocks_made += 1
        start = self.now_ms - 1000
        return {
            "format_version": 1,
            "id": ulid(self.blocks_made, self.now_ms),
            "tenant": 1,
            "shard": shard,
            "compaction_level": level,
            "min_time": start,
            "max_time": self.now_ms,
            "created_by": 2,
            "size": 4096,
            "datasets": [
                {
                    "tenant": 1,
                    "name": 3,
                    "min_time": start,
                    "max_time": self.now_ms,
                    "table_of_contents": [0, 100, 200],
                    "size": 4000,
                    "labels": [2, 4, 3, 5, 6],
                }
            ],
            "string_table": ["", tenant, "writer-0", service, "service_name", "__profile_type__", "cpu"],
        }

    def query(self, tenants=("acme",), selector="{}", labels=()):
        return {
            "tenant_id": list(tenants),
            "start_time": self.now_ms - 3600000,
            "end_time": self.now_ms + 3600000,
            "query": selector,
            "labels": list(labels),
        }

    def add(self, block):
        self.client.call(ADD, {"block": block})
        return block["id"]

    def leader(self):
        """The one that all others name, and its term."""

        def read():
            return [node.call(RAFT + "NodeInfo", timeout=2).node for node in self.nodes]

        def agree(infos):
            leaders = {info.leader_id for info in infos}
            return len(leaders) == 1 and "" not in leaders and len({info.current_term for info in infos}) == 1

        infos = until(read, agree)
        return self.node(infos[0].leader_id), infos[0].current_term

    def follower(self):
        leader, _ = self.leader()
        return next(node for node in self.nodes if node is not leader)


def code_of(call):
    try:
        call()
        return None
    except grpc.RpcError as error:
        return error.code()


class Watcher:
    """Follows Watch of one node until its stream ends, and remembers each status with the moment it came."""

    def __init__(self, world, node, service=SERVICE):
        self.statuses = []
        self.ended = threading.Event()
        kinds = world.protos.message("grpc.health.v1.HealthCheckResponse").DESCRIPTOR.enum_types_by_name
        self._names = kinds["ServingStatus"].values_by_number
        self._stream = node.call(HEALTH + "Watch", {"service": service}, timeout=120, wait_for_ready=True)
        threading.Thread(target=self._follow, daemon=True).start()

    def _follow(self):
        try:
            for answer in self._stream:
                self.statuses.append(self._names[answer.status].name)
        except grpc.RpcError:
            pass
        self.ended.set()

    def cancel(self):
        self._stream.cancel()


# -- start ---------------------------------------------------------------------------------------------------------


def check_health_changes_during_start(world):
    first = world.nodes[0]
    watcher = Watcher(world, first)
    ask("start", node=first.server_id)
    # Alone it waits for the others: nobody is told that it serves.
    time.sleep(1)
    equal([status for status in watcher.statuses if status != "SERVICE_UNKNOWN"], [], "Watch of a node that waits")
    code = code_of(lambda: first.call(HEALTH + "Check", {"service": SERVICE}, timeout=2))
    true(code in (CODE.UNAVAILABLE, CODE.NOT_FOUND), "Check of a node that waits: %s" % code)
    for node in world.nodes[1:]:
        ask("start", node=node.server_id)
    ask("ready")
    until(lambda: watcher.statuses, lambda statuses: statuses != [] and statuses[-1] == "SERVING")
    equal(watcher.statuses[:-1], ["SERVICE_UNKNOWN"] * (len(watcher.statuses) - 1), "before SERVING")
    for node in world.nodes:
        equal(node.call(HEALTH + "Check", {"service": SERVICE}, wait_for_ready=True).status, 1, "Check")
    equal(first.call(HEALTH + "Check", {"service": ""}).status, 1, "Check of the server itself")
    equal(first.call(HEALTH + "List").statuses[SERVICE].status, 1, "List")
    equal(code_of(lambda: first.call(HEALTH + "Check", {"service": "nobody"})), CODE.NOT_FOUND, "unknown service")
    watcher.cancel()


# -- index, queries, tenants ---------------------------------------------------------------------------------------


def check_a_block_added_at_any_node_is_seen_at_every_node(world):
    for node in world.nodes:
        block = world.block()
        node.call(ADD, {"block": block})
        for reader in world.nodes:
            answer = reader.call(QUERY, world.query(selector='{service_name="web"}'))
            true(block["id"] in [found.id for found in answer.blocks], "%s is missing" % block["id"])
            blocks = {"tenant": "acme", "shard": 1, "blocks": [block["id"], ulid(999, world.now_ms)]}
            answer = reader.call(GET, {"blocks": blocks})
            equal([found.id for found in answer.blocks], [block["id"]], "GetBlockMetadata")


def check_metadata_comes_back_as_it_was_sent(world):
    block = world.block(tenant="exact", shard=7)
    world.add(block)
    wanted = world.protos.message("metastore.v1.BlockMeta")(**block)
    found = world.nodes[1].call(GET, {"blocks": {"tenant": "exact", "shard": 7, "blocks": [block["id"]]}}).blocks[0]

    def plain(meta):
        text = meta.string_table
        return (
            [meta.id, text[meta.tenant], meta.shard, meta.compaction_level, meta.min_time, meta.max_time],
            [text[meta.created_by], meta.size, meta.format_version, meta.metadata_offset],
            [
                [text[part.tenant], text[part.name], part.min_time, part.max_time, part.size, part.format]
                + list(part.table_of_contents)
                + [text[label] if at not in (0,) else label for at, label in enumerate(part.labels)]
                for part in meta.datasets
            ],
        )

    equal(plain(found), plain(wanted), "BlockMeta")


def check_a_block_sent_twice_is_there_once(world):
    block = world.block(tenant="twice")
    world.add(block)
    world.add(block)
    equal(len(world.nodes[0].call(QUERY, world.query(["twice"])).blocks), 1, "blocks")


def check_labels_are_found(world):
    world.add(world.block(tenant="labels", service="shop"))
    fields = world.query(["labels"], labels=["service_name", "__profile_type__"])
    rows = world.nodes[2].call(LABELS, fields).labels
    equal(
        [[(pair.name, pair.value) for pair in row.labels] for row in rows],
        [[("service_name", "shop"), ("__profile_type__", "cpu")]],
        "labels",
    )


def check_tenants_have_stats_known_or_not(world):
    world.add(world.block(tenant="known"))
    true("known" in world.nodes[1].call(TENANTS).tenant_ids, "GetTenants")
    known = world.nodes[1].call(TENANT, {"tenant_id": "known"})
    true(known.stats.data_ingested, "data_ingested")
    equal(known.stats.oldest_profile_time, world.now_ms - 1000, "oldest_profile_time")
    unknown = world.nodes[1].call(TENANT, {"tenant_id": "nobody"})
    true(unknown.HasField("stats"), "stats of an unknown tenant")
    equal(unknown.stats.data_ingested, False, "data_ingested")


def check_a_tenant_can_be_deleted(world):
    world.add(world.block(tenant="leaving"))
    world.client.call(DELETE, {"tenant_id": "leaving"})


def check_what_can_never_succeed_is_tried_once(world):
    bad_id = world.block()
    bad_id["id"] = "not a ulid"
    reference = world.block()
    reference["tenant"] = 99
    labels = world.block()
    labels["datasets"][0]["labels"] = [3, 4]
    cases = {
        "an id that is no ULID": (ADD, {"block": bad_id}),
        "no block": (ADD, {}),
        "a reference outside of the string table": (ADD, {"block": reference}),
        "labels that are cut off": (ADD, {"block": labels}),
        "a query that does not parse": (QUERY, world.query(selector="{a=")),
        "a query without a tenant": (QUERY, world.query([])),
    }
    for what, (method, fields) in cases.items():
        try:
            world.client.call(method, fields)
            raise AssertionError("%s was accepted" % what)
        except grpc.RpcError as error:
            equal(error.code(), CODE.INVALID_ARGUMENT, what)
            equal(len(error.attempts.list), 1, "attempts with %s" % what)


def check_bytes_that_are_no_message_are_refused(world):
    for method in (ADD, QUERY, POLL):
        code = code_of(lambda: world.nodes[0].raw(method, b"\xff\xff\xff\xff"))
        true(code in (CODE.INVALID_ARGUMENT, CODE.INTERNAL), "%s: %s" % (method, code))
    equal(code_of(lambda: world.nodes[0].raw("/metastore.v1.IndexService/Nothing", b"")), CODE.UNIMPLEMENTED, "method")


# -- transport -----------------------------------------------------------------------------------------------------


def check_gzip_is_understood(world):
    node = Node(world.protos, world.nodes[0].server_id, world.nodes[0].address, grpc.Compression.Gzip)
    block = world.block(tenant="packed", service="s" * 10000)
    node.call(ADD, {"block": block})
    equal(node.call(QUERY, world.query(["packed"])).blocks[0].id, block["id"], "block")
    node.close()


def check_many_calls_share_one_connection(world):
    node = world.nodes[0]
    with concurrent.futures.ThreadPoolExecutor(64) as pool:
        calls = [pool.submit(node.call, TENANT, {"tenant_id": "acme"}) for _ in range(1000)]
        equal(all(call.result().HasField("stats") for call in calls), True, "1000 answers")


def check_a_large_block_goes_both_ways(world):
    block = world.block(tenant="large")
    names = ["service-%06d-%s" % (number, "x" * 12000) for number in range(400)]
    block["string_table"] = block["string_table"][:2] + ["writer-0"] + names
    block["datasets"] = [
        dict(block["datasets"][0], name=3 + number, labels=[]) for number in range(len(names))
    ]
    size = world.protos.message("metastore.v1.BlockMeta")(**block).ByteSize()
    true(size > 4 << 20, "only %d bytes" % size)
    world.add(block)
    answer = world.nodes[1].call(GET, {"blocks": {"tenant": "large", "shard": 1, "blocks": [block["id"]]}})
    equal(len(answer.blocks[0].datasets), len(names), "datasets")


# -- the bucket ----------------------------------------------------------------------------------------------------


def check_a_dead_letter_is_brought_home(world):
    """What a segment writer does when the metastore does not answer: the bare message, in a place of its own."""
    block = world.block(tenant="late", shard=3)
    folder = os.path.join(world.bucket, "dlq", "3", "late", block["id"])
    os.makedirs(folder)
    path = os.path.join(folder, "meta.pb")
    with open(path + ".part", "wb") as letter:
        letter.write(world.protos.message("metastore.v1.BlockMeta")(**block).SerializeToString())
    os.rename(path + ".part", path)

    def found():
        return [block.id for block in world.nodes[0].call(QUERY, world.query(["late"])).blocks]

    until(found, lambda ids: ids == [block["id"]])
    until(lambda: os.path.exists(path), lambda is_there: not is_there)


# -- compaction ----------------------------------------------------------------------------------------------------


def check_a_compaction_job_goes_its_way(world):
    # Asked once before there are blocks: the first poll turns compaction on.
    world.client.call(POLL, {"job_capacity": 0})
    sources = [world.add(world.block(tenant="small", shard=9, level=1)) for _ in range(10)]

    def poll():
        return world.client.call(POLL, {"job_capacity": 1})[0]

    answer = until(poll, lambda given: any(job.tenant == "small" for job in given.compaction_jobs), pause_s=0.2)
    job = next(job for job in answer.compaction_jobs if job.tenant == "small")
    token = next(given.token for given in answer.assignments if given.name == job.name)
    equal(sorted(job.source_blocks), sorted(sources), "source_blocks")
    blocks = {"tenant": job.tenant, "shard": job.shard, "blocks": list(job.source_blocks)}
    equal(len(world.client.call(GET, {"blocks": blocks})[0].blocks), len(sources), "metadata of the sources")
    update = {"name": job.name, "token": token, "status": 1}
    kept = world.client.call(POLL, {"status_updates": [update]})[0]
    equal([given.name for given in kept.assignments], [job.name], "refreshed")
    result = world.block(tenant="small", shard=9, level=2)
    update["status"] = SUCCESS
    update["compacted_blocks"] = {"source_blocks": blocks, "new_blocks": [result]}
    done = world.client.call(POLL, {"status_updates": [update]})[0]
    equal([given.name for given in done.assignments], [], "assignments after the job")
    for node in world.nodes:
        found = node.call(QUERY, world.query(["small"])).blocks
        equal([block.id for block in found], [result["id"]], "blocks at %s" % node.server_id)


# -- members and leadership ----------------------------------------------------------------------------------------


def check_node_info_is_the_same_story_everywhere(world):
    leader, term = world.leader()
    for node in world.nodes:
        info = node.call(RAFT + "NodeInfo").node
        equal(info.server_id, node.server_id, "server_id")
        equal(info.state, "Leader" if node is leader else "Follower", "state of %s" % node.server_id)
        equal(info.leader_id, leader.server_id, "leader_id")
        equal(info.current_term, term, "current_term")
        peers = sorted((peer.server_id, peer.server_address, peer.suffrage) for peer in info.peers)
        equal(peers, sorted((name, address, "Voter") for name, address in world.peers.items()), "peers")
        true(info.HasField("stats") and info.stats.name, "stats")
        equal(len(info.stats.name), len(info.stats.value), "lengths of stats")
        equal(list(info.stats.name), sorted(info.stats.name), "order of stats")
        true(info.configuration_index > 0 and info.last_index >= info.commit_index >= info.applied_index, "indexes")


def check_read_index_is_at_or_above_every_write(world):
    world.add(world.block(tenant="index"))
    for node in world.nodes:
        answer = node.call(RAFT + "ReadIndex")
        info = world.leader()[0].call(RAFT + "NodeInfo").node
        true(0 < answer.commit_index <= info.last_index, "commit_index %d" % answer.commit_index)
        equal(answer.term, info.current_term, "term")


def check_leadership_is_handed_over_and_given_up(world):
    leader, term = world.leader()
    heir = world.follower()
    stale = {"server_id": heir.server_id, "current_term": term - 1}
    equal(code_of(lambda: leader.call(RAFT + "PromoteToLeader", stale)), CODE.INVALID_ARGUMENT, "a lower term")
    itself = {"server_id": leader.server_id, "current_term": term}
    equal(code_of(lambda: leader.call(RAFT + "PromoteToLeader", itself)), CODE.INVALID_ARGUMENT, "the leader itself")
    equal(code_of(lambda: leader.call(RAFT + "RemoveNode", itself)), CODE.UNKNOWN, "removal of the leader")
    world.client.call(RAFT + "PromoteToLeader", {"server_id": heir.server_id, "current_term": term})
    until(world.leader, lambda now: now[0] is heir)
    _, term = world.leader()
    world.client.call(RAFT + "DemoteLeader", {"server_id": heir.server_id, "current_term": term})
    until(world.leader, lambda now: now[0] is not heir)


def check_a_member_is_added_and_removed(world):
    added = ask("new-node")
    node = Node(world.protos, added["id"], added["address"])
    _, term = world.leader()
    world.client.call(RAFT + "AddNode", {"server_id": added["id"], "current_term": term})

    def members():
        return sorted(peer.server_id for peer in world.leader()[0].call(RAFT + "NodeInfo").node.peers)

    wanted = sorted([other.server_id for other in world.nodes] + [added["id"]])
    until(members, lambda found: found == wanted)
    until(lambda: node.call(QUERY, world.query()).blocks, lambda blocks: len(blocks) > 0)
    world.client.call(RAFT + "RemoveNode", {"server_id": added["id"], "current_term": world.leader()[1]})
    until(members, lambda found: found == sorted(other.server_id for other in world.nodes))
    node.close()
    ask("kill", node=added["id"])


# -- the hint ------------------------------------------------------------------------------------------------------


def check_the_leader_is_found_with_one_refused_attempt_at_most(world):
    for start in world.nodes:
        leader, _ = world.leader()
        world.client.current = key_of(start.server_id)
        _, attempts = world.client.call(ADD, {"block": world.block(tenant="hint")})
        true(len(attempts.refused) <= 1, "refused %s" % attempts.refused)
        if attempts.refused:
            equal(attempts.list[0][2], key_of(leader.server_id), "the hint")


def check_a_refusal_names_the_leader_in_its_trailer(world):
    error = until(lambda: refusal(world), lambda found: trailer_of(found) != [], limit_s=60)
    equal(error.code(), CODE.UNAVAILABLE, "code")
    hinted = world.node(hint_of(world.protos, error))
    wanted = encoded_hint(error.details(), hinted.server_id, world.peers[hinted.server_id])
    equal([value.hex() for value in trailer_of(error)], [wanted.hex()], "trailer")
    world.client.current = key_of(hinted.server_id)
    _, attempts = world.client.call(ADD, {"block": world.block(tenant="hinted")})
    true(len(attempts.refused) <= 1, "refused after the hint: %s" % attempts.refused)


def refusal(world):
    """What is forwarded to a leader that stands still is refused. By then there may be another one, or none that is known."""
    asked = world.follower()
    leader, _ = world.leader()
    ask("pause", node=leader.server_id)
    try:
        asked.call(ADD, {"block": world.block(tenant="refused")}, timeout=8)
    except grpc.RpcError as error:
        return error
    finally:
        ask("resume", node=leader.server_id)
    raise AssertionError("nothing was refused")


# -- shutdown ------------------------------------------------------------------------------------------------------


def check_nobody_is_failed_while_the_leader_stops_and_health_says_so(world):
    leader, _ = world.leader()
    watcher = Watcher(world, leader)
    until(lambda: watcher.statuses, lambda statuses: statuses == ["SERVING"])
    stopped = threading.Event()
    written = []
    failures = []

    def write():
        client = Client(world.protos, world.nodes, 7)
        client.current = key_of(leader.server_id)
        while not stopped.is_set():
            block = world.block(tenant="stopping")
            try:
                client.call(ADD, {"block": block})
                written.append(block["id"])
            except grpc.RpcError as error:
                failures.append(describe(error))

    writer = threading.Thread(target=write)
    writer.start()
    ask("stop", node=leader.server_id)
    stopped.set()
    writer.join()
    equal(failures, [], "writes that failed")
    true(watcher.ended.wait(10), "the watch does not end")
    equal(watcher.statuses, ["SERVING", "NOT_SERVING"], "Watch of a node that stops")
    world.nodes.remove(leader)
    found = {block.id for block in world.nodes[0].call(QUERY, world.query(["stopping"])).blocks}
    true(len(written) > 0 and set(written) <= found, "%d written, %d found" % (len(written), len(found)))


# In this order: the first starts the nodes, the last stops one.
CHECKS = [value for name, value in list(globals().items()) if name.startswith("check_")]


def main():
    world = World(json.loads(sys.argv[1]))
    for check in CHECKS:
        name = check.__name__[len("check_"):].replace("_", " ")
        started_at = time.monotonic()
        try:
            check(world)
            problem = None
        except Exception as error:  # pylint: disable=broad-except
            problem = describe(error)
        ms = round((time.monotonic() - started_at) * 1000)
        say({"check": name, "ms": ms, "problem": problem})
        if check is CHECKS[0] and problem is not None:
            break


main()

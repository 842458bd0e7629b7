/** Random peer messages and configurations, correct ones, for property tests and as seeds of mutation. */

import fc from "fast-check";
import { appendEntry, ByteSink, COMMAND } from "../../../src/protocol/index.ts";
import { encodeMembershipBody } from "../../../src/raft/codec/index.ts";
import {
  type Append,
  type Batch,
  BATCH_KIND,
  type Member,
  type Membership,
  MESSAGE,
  type Message,
  type SnapshotChunk,
  type SnapshotMeta,
} from "../../../src/raft/index.ts";

const TERM_MAX = 2 ** 52;

/** Records as literals make them: with a prototype, so that they can be compared strictly. */
function record<T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> {
  return fc.record<T>(model, { noNullPrototype: true });
}

const id = fc.oneof(
  fc.stringMatching(/^[0-9a-f]{16}$/),
  fc.stringMatching(/^[0-9A-Za-z][0-9A-Za-z._:-]{0,20}$/),
);
const index = fc.oneof(fc.nat(20), fc.nat({ max: TERM_MAX }), fc.constant(TERM_MAX));
const positive = index.map((value) => value + 1);
const text = fc.oneof(fc.string({ maxLength: 12 }), fc.string({ unit: "grapheme", maxLength: 12 }));

const member: fc.Arbitrary<Member> = record({ id, serverId: text, address: text });

/** Roles by number: voter, outgoing, both, learner, learner next. */
const ROLES = 5;

export const membership: fc.Arbitrary<Membership> = fc
  .uniqueArray(fc.tuple(member, fc.nat(ROLES - 1)), {
    minLength: 1,
    maxLength: 9,
    selector: ([{ id: key }]) => key,
  })
  .map((pairs) => {
    pairs.sort((a, b) => (a[0].id < b[0].id ? -1 : 1));
    // The first is a voter, so that there is one.
    const roles = pairs.map(([{ id: key }, role], i) => [key, i === 0 ? 0 : role] as const);
    const withRole = (...wanted: number[]): string[] =>
      roles.flatMap(([key, role]) => (wanted.includes(role) ? [key] : []));
    return {
      members: pairs.map(([value]) => value),
      voters: withRole(0, 2),
      votersOutgoing: withRole(1, 2, 4),
      learners: withRole(3),
      learnersNext: withRole(4),
    };
  });

const entriesBody: fc.Arbitrary<Pick<Batch, "body" | "count">> = fc
  .array(fc.uint8Array({ maxLength: 40 }), { minLength: 1, maxLength: 4 })
  .map((payloads) => {
    const sink = new ByteSink();
    for (const payload of payloads) appendEntry(sink, COMMAND.noop, payload);
    return { body: sink.copy(), count: payloads.length };
  });

/** A body may stand in a longer buffer: only `bodyBytes` of it belong to the batch. */
const draft = record({
  content: fc.oneof(
    entriesBody.map((value) => ({ ...value, kind: BATCH_KIND.entries })),
    membership.map((value) => ({
      body: encodeMembershipBody(value),
      count: 1,
      kind: BATCH_KIND.membership,
    })),
  ),
  termStep: fc.nat(2),
  timeStep: fc.nat(1000),
  spareBytes: fc.constantFrom(0, 8, 64),
});

const append: fc.Arbitrary<Append> = record({
  from: id,
  to: id,
  previousIndex: index,
  previousTerm: index,
  commitIndex: index,
  termStep: fc.nat(2),
  drafts: fc.array(draft, { maxLength: 5 }),
}).map(({ drafts, termStep, ...rest }) => {
  const previousTerm = rest.previousIndex === 0 ? 0 : rest.previousTerm;
  let firstIndex = rest.previousIndex + 1;
  let term = previousTerm;
  let appendedAtMs = 1_700_000_000_000;
  const batches = drafts.map(({ content, spareBytes, ...steps }) => {
    term += steps.termStep;
    appendedAtMs += steps.timeStep;
    const bodyBytes = content.body.length;
    const body = new Uint8Array(bodyBytes + spareBytes);
    body.set(content.body);
    const batch: Batch = { ...content, firstIndex, term, appendedAtMs, body, bodyBytes };
    firstIndex += content.count;
    return batch;
  });
  return { kind: MESSAGE.append, ...rest, previousTerm, term: term + termStep, batches };
});

export const snapshotMeta: fc.Arbitrary<SnapshotMeta> = record({
  id,
  index: positive,
  term: index,
  back: fc.nat(5),
  membership,
  appendedAtMs: fc.nat({ max: TERM_MAX }),
  sizeBytes: fc.integer({ min: 1, max: 5000 }),
  chunkBytes: fc.integer({ min: 1, max: 300 }),
  digest: fc.stringMatching(/^[0-9a-f]{64}$/),
}).map(({ back, membership: value, ...rest }) => ({
  ...rest,
  membership: { index: Math.max(0, rest.index - back), membership: value },
  chunkCount: Math.ceil(rest.sizeBytes / rest.chunkBytes),
}));

const snapshotChunk: fc.Arbitrary<SnapshotChunk> = record({
  from: id,
  to: id,
  meta: snapshotMeta,
  seed: fc.nat(),
  termStep: fc.nat(2),
}).map(({ from, to, meta, seed, termStep }) => {
  const chunk = seed % meta.chunkCount;
  const start = chunk * meta.chunkBytes;
  const length = Math.min(meta.chunkBytes, meta.sizeBytes - start);
  const bytes = Uint8Array.from({ length }, (_, i) => (i * 31 + seed) % 256);
  return {
    kind: MESSAGE.snapshotChunk,
    from,
    to,
    term: meta.term + termStep,
    meta,
    chunk,
    bytes,
  };
});

const envelope = { from: id, to: id, term: index };
const candidate = record({
  from: id,
  to: id,
  lastIndex: index,
  lastTerm: index,
  termStep: fc.nat(3),
}).map(({ termStep, ...rest }) => {
  const lastTerm = rest.lastIndex === 0 ? 0 : rest.lastTerm;
  return { ...rest, lastTerm, term: lastTerm + 1 + termStep };
});
const kind = <K extends Message["kind"]>(value: K) => fc.constant(value);

export const message: fc.Arbitrary<Message> = fc.oneof(
  candidate.map((value) => ({ kind: MESSAGE.preVote, ...value })),
  record({
    kind: kind(MESSAGE.preVoteReply),
    ...envelope,
    askedTerm: index,
    isGranted: fc.boolean(),
  }),
  fc
    .tuple(candidate, fc.boolean())
    .map(([value, isTransfer]) => ({ kind: MESSAGE.vote, ...value, isTransfer })),
  record({ kind: kind(MESSAGE.voteReply), ...envelope, isGranted: fc.boolean() }),
  append,
  fc
    .record({ ...envelope, isRejected: fc.boolean(), index, hintIndex: index, hintBack: fc.nat(3) })
    .map(({ hintBack, ...rest }) => ({
      kind: MESSAGE.appendReply,
      ...rest,
      hintIndex: rest.isRejected ? rest.hintIndex : 0,
      hintTerm: rest.isRejected ? Math.max(0, rest.term - hintBack) : 0,
    })),
  record({ kind: kind(MESSAGE.heartbeat), ...envelope, commitIndex: index, readRound: index }),
  record({ kind: kind(MESSAGE.heartbeatReply), ...envelope, readRound: index }),
  record({ kind: kind(MESSAGE.readIndex), ...envelope, requestId: index }),
  record({ kind: kind(MESSAGE.readIndexReply), ...envelope, requestId: index, index }),
  snapshotChunk,
  record({
    kind: kind(MESSAGE.snapshotReply),
    ...envelope,
    snapshotId: id,
    nextChunk: index,
    isRejected: fc.boolean(),
  }),
  record({ kind: kind(MESSAGE.timeoutNow), ...envelope }),
);

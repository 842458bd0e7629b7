/**
 * Cost by matches: the same query with the same answer while the tenant's index grows tenfold, and a label query
 * over a fortnight of ten thousand services.
 */

import { join } from "node:path";
import type { QueryParams } from "../../../src/read/index.ts";
import {
  type BenchCase,
  type BenchContext,
  type PreparedCase,
  repeat,
} from "../../harness/index.ts";
import { makeBlock, serviceNames } from "../../support/block-fixture.ts";
import { IndexBuilder } from "../../support/index-builder.ts";
import { Queries } from "../../support/queries.ts";

const AT_MS = Date.UTC(2026, 10, 22, 12);
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const SHARDS = 16;
const MATCHES = 20;
const OTHER_SERVICES = serviceNames(2_000);

/** The last hour of one service: 20 blocks in 16 shards, whatever else the tenant has. */
const QUERY: QueryParams = {
  tenants: ["acme"],
  startMs: AT_MS,
  endMs: AT_MS + HOUR_MS,
  selector: '{service_name="wanted"}',
  labels: ["service_name"],
};

/**
 * An index of `blocks` blocks of one tenant. Half of the others lie in the queried window with other services, half
 * are spread over the fortnight before it, the wanted service among them: both ways for an index to grow.
 */
function fill(builder: IndexBuilder, blocks: number): void {
  for (let i = 0; i < blocks; i++) {
    const isMatch = i < MATCHES;
    const isInWindow = isMatch || i % 2 === 0;
    const ageMs = isInWindow ? (i * 7_919) % HOUR_MS : -DAY_MS - ((i * 104_729) % (14 * DAY_MS));
    const first = OTHER_SERVICES[(i * 31) % OTHER_SERVICES.length] as string;
    const second = OTHER_SERVICES[(i * 17 + 5) % OTHER_SERVICES.length] as string;
    const isWanted = isMatch || (!isInWindow && i % 97 === 0);
    const minTimeMs = AT_MS + ageMs;
    builder.add(
      makeBlock({
        createdAtMs: minTimeMs,
        serial: i,
        owner: "acme",
        datasetTenant: "acme",
        shard: i % SHARDS,
        services: isWanted ? ["wanted", second] : [first, second],
        minTimeMs,
        maxTimeMs: minTimeMs + 30_000,
      }),
    );
  }
  builder.finish();
}

interface Built {
  readonly queries: Queries;
  close(): Promise<void>;
}

async function indexOf(blocks: number, context: BenchContext): Promise<Built> {
  const directory = join(context.directory, String(blocks));
  context.progress(`building ${blocks.toLocaleString("en")} blocks`);
  const builder = new IndexBuilder(directory);
  const startedAtMs = performance.now();
  fill(builder, blocks);
  const us = ((performance.now() - startedAtMs) / blocks) * 1000;
  const bytes = builder.db.fileSizeBytes();
  context.fact(`${blocks} blocks: us per block to build`, us.toFixed(1));
  context.fact(`${blocks} blocks: index bytes per block`, Math.round(bytes / blocks));
  context.fact(`${blocks} blocks: index bytes per dataset`, Math.round(bytes / blocks / 2));
  const queries = new Queries(builder.db);
  const ids = queries.ids(QUERY);
  if (ids.length !== MATCHES) throw new Error(`Expected ${MATCHES} matches, got ${ids.length}`);
  return { queries, close: () => builder.close() };
}

function step(smaller: number, larger: number): BenchCase {
  const isLast = larger === 1_000_000;
  return {
    name: `read/growth/${smaller}-to-${larger}-blocks`,
    about: "The same query and answer in an index of ten times the blocks.",
    goals: [
      { metric: "cpuUs", form: "ours/limit", atMost: 1.3 },
      ...(isLast ? [{ metric: "p99Us", form: "ours", atMost: 5_000 } as const] : []),
    ],
    pairs: 9,
    async prepare(context) {
      const limit = await indexOf(smaller, context);
      const ours = await indexOf(larger, context);
      const options = { hasLatencies: true };
      return {
        ours: repeat(`${larger} blocks`, () => ours.queries.plan(QUERY), options),
        limit: repeat(`${smaller} blocks`, () => limit.queries.plan(QUERY), options),
        close: async () => {
          await ours.close();
          await limit.close();
        },
      };
    },
  };
}

const SERVICES = 10_000;
const LABEL_DAYS = 14;

/** Every service in every six-hour window of a fortnight, 25 services to a block. */
async function prepareLabels(context: BenchContext): Promise<PreparedCase> {
  const builder = new IndexBuilder(join(context.directory, "index"));
  const services = serviceNames(SERVICES);
  const windows = LABEL_DAYS * 4;
  context.progress(`building ${windows} windows of ${SERVICES} services`);
  for (let window = 0; window < windows; window++) {
    const minTimeMs = AT_MS - (window + 1) * 6 * HOUR_MS;
    for (let first = 0; first < SERVICES; first += 25) {
      builder.add(
        makeBlock({
          createdAtMs: minTimeMs,
          serial: window * SERVICES + first,
          owner: "acme",
          datasetTenant: "acme",
          shard: (first / 25) % SHARDS,
          services: services.slice(first, first + 25),
          minTimeMs,
          maxTimeMs: minTimeMs + 6 * HOUR_MS - 1,
        }),
      );
    }
  }
  builder.finish();
  const queries = new Queries(builder.db);
  const params: QueryParams = {
    tenants: ["acme"],
    startMs: AT_MS - LABEL_DAYS * DAY_MS,
    endMs: AT_MS,
    selector: "{}",
    labels: ["service_name", "__profile_type__"],
  };
  const minBytes = SERVICES * "service-00000".length;
  if (queries.labels(params) < minBytes) throw new Error("The label query misses services");
  return {
    ours: repeat("label query", () => queries.labels(params), { hasLatencies: true }),
    close: () => builder.close(),
  };
}

export const cases: readonly BenchCase[] = [
  step(1_000, 10_000),
  step(10_000, 100_000),
  step(100_000, 1_000_000),
  {
    name: "read/labels/10k-services-14-days",
    about:
      "Distinct services and profile types of a fortnight: 10,000 services in each of 56 windows.",
    goals: [{ metric: "p50Us", form: "ours", atMost: 100_000 }],
    sampleMs: 400,
    prepare: prepareLabels,
  },
];

/** A node of a fake cluster behind real HTTP, for commands that ask nodes about their cluster. */

import {
  AdminHttpServer,
  changeRoutes,
  clusterRoutes,
  type Route,
  Router,
} from "../../src/admin/index.ts";
import { SILENT_LOGGER } from "../../src/base/index.ts";
import { FakeCluster } from "../support/fake-cluster.ts";
import { hearth, NOW_MS, type Said } from "./support.ts";

export interface ClusterNode {
  readonly endpoint: string;
  readonly cluster: FakeCluster;
  /** Runs a command against it. */
  run(...argv: string[]): Promise<Said>;
  /** Drops every connection at once. */
  close(): Promise<void>;
}

/** Runs a body with hearth-0 of a fake cluster and closes it whatever happens. */
export async function withCluster(body: (node: ClusterNode) => Promise<void>): Promise<void> {
  const cluster = new FakeCluster();
  const control = (): FakeCluster => cluster;
  const nowMs = (): number => NOW_MS;
  const routes: Route[] = [
    {
      method: "GET",
      path: "/api/v1/status",
      summary: "",
      handle: () => ({
        status: 200,
        headers: {},
        body: JSON.stringify(cluster.statuses.get("hearth-0")),
      }),
    },
    ...clusterRoutes({ control, nowMs, clockMs: () => performance.now() }),
    ...changeRoutes({ control, snapshots: control, logger: SILENT_LOGGER, nowMs }),
  ];
  const server = new AdminHttpServer(
    { address: "127.0.0.1", port: 0, bodyMaxBytes: 1024 * 1024 },
    { router: new Router({ routes, logger: SILENT_LOGGER }), logger: SILENT_LOGGER },
  );
  const endpoint = `http://127.0.0.1:${await server.listen()}`;
  try {
    await body({
      endpoint,
      cluster,
      run: (...argv) => hearth([...argv, "--endpoint", endpoint]),
      close: () => server.close(0),
    });
  } finally {
    await server.close(0);
  }
}

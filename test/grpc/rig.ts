/** An endpoint on a real socket, with methods of its own. */

import { HearthError, SILENT_LOGGER } from "../../src/base/index.ts";
import {
  GRPC_DEFAULTS,
  GrpcEdge,
  type GrpcOptions,
  type MethodCall,
  type NodeNews,
} from "../../src/grpc/index.ts";
import { findFreePorts } from "../support/ports.ts";

export const NEWS: NodeNews = {
  health: "serving",
  leader: { id: "node-1", address: "127.0.0.1:9100" },
  addresses: {},
};

/** An endpoint with four methods: one answers, one waits, one refuses, one sends as much as it is asked for. */
export class Rig {
  readonly edge: GrpcEdge;
  readonly address: string;
  readonly waiting: MethodCall[] = [];
  settled = 0;

  static async open(changes: Partial<GrpcOptions> = {}): Promise<Rig> {
    const [port = 0] = await findFreePorts(1);
    const rig = new Rig({ ...GRPC_DEFAULTS, port, serverId: "node-0", ...changes });
    await rig.edge.listen();
    return rig;
  }

  private constructor(options: GrpcOptions) {
    this.address = `127.0.0.1:${options.port}`;
    this.edge = new GrpcEdge(options, {
      mayListen: true,
      logger: SILENT_LOGGER,
      methods: [
        {
          path: "/test.Test/Echo",
          kind: "query",
          handle: (message, call) => call.reply((sink) => sink.append(message)),
        },
        {
          path: "/test.Test/Wait",
          kind: "write",
          handle: (_message, call) => {
            this.waiting.push(call);
            call.onSettled = () => {
              this.settled++;
            };
          },
        },
        {
          path: "/test.Test/Refuse",
          kind: "write",
          handle: () => {
            throw new HearthError("unavailable", "another member leads", {
              reason: "not_leader",
              leader: { id: "node-1", address: "127.0.0.1:4041" },
            });
          },
        },
        {
          path: "/test.Test/Send",
          kind: "query",
          handle: (message, call) => {
            const bytes = Buffer.from(message).readUInt32LE(0);
            call.reply((sink) => {
              sink.reserve(bytes);
              sink.length += bytes;
            });
          },
        },
      ],
    });
    this.edge.receive(NEWS);
  }

  close(): void {
    this.edge.closeConnections();
    this.edge.close();
  }

  /** Until so many calls wait. */
  async untilWaiting(count: number): Promise<void> {
    while (this.waiting.length < count) await turn();
  }

  codes(): Record<string, number> {
    const counts: Record<string, number> = {};
    for (const { code, count } of this.edge.metrics().requests)
      counts[code] = (counts[code] ?? 0) + count;
    return counts;
  }
}

export function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 5));
}

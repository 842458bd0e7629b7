/** TLS in front of a server that speaks none, as a load balancer has it. */
import { type AddressInfo, connect, type Socket } from "node:net";
import { createServer } from "node:tls";
import type { Issued } from "../grpc/certificates.ts";

export interface TlsFront {
  readonly port: number;
  close(): void;
}

/** `target`: "host:port" of the server. */
export async function startTlsFront(
  target: string,
  { certPem, keyPem }: Issued,
): Promise<TlsFront> {
  const [host = "", port = ""] = target.split(":");
  const sockets = new Set<Socket>();
  const server = createServer({ cert: certPem, key: keyPem }, (incoming) => {
    const outgoing = connect(Number(port), host);
    for (const [one, other] of [
      [incoming, outgoing],
      [outgoing, incoming],
    ] as const) {
      sockets.add(one);
      // Or each request waits for an acknowledgement that is held back.
      one.setNoDelay(true);
      one.pipe(other);
      one.on("error", () => other.destroy());
      one.on("close", () => {
        sockets.delete(one);
        other.destroy();
      });
    }
  });
  // A client that does not like the certificate hangs up.
  server.on("tlsClientError", () => {});
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

/**
 * Where connections come from. The rest of the folder sees this pair only, so that sockets that are authenticated and
 * encrypted (node:tls with certificates of both sides: its sockets are net.Sockets, too) can take the place of plain
 * ones, and tests can cut wires.
 */

import { lookup } from "node:dns/promises";
import { connect, createServer, type Server, type Socket } from "node:net";

export interface PeerSockets {
  /** A socket that is being connected to an IP address; `host` is the name that was asked for (certificates). */
  connect(target: { readonly ip: string; readonly port: number; readonly host: string }): Socket;
  /** A server that hands over each connection once it can carry bytes. */
  createServer(onConnection: (socket: Socket) => void): Server;
}

export const TCP_SOCKETS: PeerSockets = {
  connect: ({ ip, port }) => connect({ host: ip, port, noDelay: true }),
  createServer: (onConnection) => createServer({ noDelay: true }, onConnection),
};

/** All addresses of a host, in the order of preference. Errors: those of getaddrinfo. */
export type LookUpHost = (host: string) => Promise<readonly string[]>;

/** As every other program on this machine resolves names: hosts file, search domains and all. */
export const lookUpHost: LookUpHost = async (host) => {
  const found = await lookup(host, { all: true, verbatim: true });
  return found.map(({ address }) => address);
};

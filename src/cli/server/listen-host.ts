/** "Every interface" as an address: both families where the system has both. */
import { createServer } from "node:net";
import { formatAddress } from "../../cluster/index.ts";

/** The address itself, or for an empty one `::`, or `0.0.0.0` where IPv6 is switched off. */
export async function listenHost(configured: string): Promise<string> {
  if (configured !== "") return configured;
  return (await canListen("::")) ? "::" : "0.0.0.0";
}

function canListen(host: string): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen({ host, port: 0 }, () => server.close(() => resolve(true)));
  });
}

/** host:port of a checked setting; an IPv6 host without its brackets, an empty one for every interface. */
export function splitAddress(address: string): { readonly host: string; readonly port: number } {
  const colon = address.lastIndexOf(":");
  const host = address.slice(0, colon).replace(/^\[(.*)\]$/, "$1");
  return { host, port: Number(address.slice(colon + 1)) };
}

/** An address of this node as others can use it: "every interface" is what the advertised address names. */
export function reachableAt(address: string, advertised: string): string {
  const name = advertised.replace(/:\d+$/, "");
  return address.replace(/^(0\.0\.0\.0|\[::\])(?=:)/, name);
}

/** host:port of a listener; an empty host stands for every interface. */
export function listeningAddress(host: string, port: number): string {
  return formatAddress({ host: host === "" ? "0.0.0.0" : host, port });
}

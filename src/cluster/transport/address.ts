/** `host:port`, with the host in brackets when it is an IPv6 address. */
export interface HostPort {
  readonly host: string;
  readonly port: number;
}

/** What `tryParseAddress` reads. */
export function formatAddress({ host, port }: HostPort): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Null: not of that form. */
export function tryParseAddress(address: string): HostPort | null {
  const match = /^(?:\[([0-9A-Fa-f:.%]+)\]|([^\s:[\]/]+)):(\d{1,5})$/.exec(address);
  if (match === null) return null;
  const port = Number(match[3]);
  const host = (match[1] ?? match[2]) as string;
  return port > 0 && port <= 65_535 ? { host, port } : null;
}

/** CPU time of this process, user and system together, ms: what a piece of work costs, however busy the machine is. */
export function cpuTimeMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}

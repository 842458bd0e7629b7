/** Whether several threads can listen on one port (`reusePort` of node:net: Node.js 22.12 and 23.1 on). */
export function canSharePort(nodeVersion: string = process.versions.node): boolean {
  const [major = 0, minor = 0] = nodeVersion.split(".").map(Number);
  return major > 23 || (major === 23 && minor >= 1) || (major === 22 && minor >= 12);
}

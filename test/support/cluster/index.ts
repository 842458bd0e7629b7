import { fileURLToPath } from "node:url";

export { PeerProxies } from "./peer-proxies.ts";
export { TestCluster, type TestClusterOptions } from "./test-cluster.ts";
export { type NodeExit, type NodePorts, type NodeStatus, TestNode } from "./test-node.ts";

/** For TestClusterOptions.entry: the program over a disk that breaks on signals (faulty-server.ts). */
export const FAULTY_SERVER: string = fileURLToPath(new URL("./faulty-server.js", import.meta.url));

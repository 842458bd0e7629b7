export { PeerProxies } from "./peer-proxies.ts";
export { TestCluster, type TestClusterOptions } from "./test-cluster.ts";
export { type NodeExit, type NodePorts, type NodeStatus, TestNode } from "./test-node.ts";
export { findStablePorts } from "./ports.ts";

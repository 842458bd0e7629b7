export { mergeBlocks } from "./merge.ts";
export {
  SimulatedWorker,
  type SimulatedWorkerModules,
  type SimulatedWorkerOptions,
  WORKER_FAULTS,
  type WorkerFault,
  type WorkerStats,
} from "./simulated-worker.ts";

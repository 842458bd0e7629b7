export { TASK_THREADS_DEFAULTS, TaskThreads, type TaskThreadsOptions } from "./task-threads.ts";

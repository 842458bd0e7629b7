export { parseEntryKey, QUARANTINE_PREFIX } from "./entry-key.ts";
export { DLQ_STATUSES, type DlqStatus } from "./read-entry.ts";
export {
  DLQ_DEFAULTS,
  type DlqModules,
  type DlqOptions,
  DlqRecovery,
  type DlqStatusView,
} from "./recovery.ts";

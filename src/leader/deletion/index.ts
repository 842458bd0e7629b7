export {
  isSuspicious,
  NO_OBJECTS,
  TenantDeleter,
  type TenantDeleterModules,
  type TenantDeleterStatus,
} from "./deleter.ts";
export { DELETION_DEFAULTS, type DeletionOptions } from "./options.ts";

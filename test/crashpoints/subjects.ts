import { LOG_SUBJECT } from "./log-subject.ts";
import type { CrashSubject } from "./subject.ts";

/** Every storage that promises something. */
export const SUBJECTS: readonly CrashSubject[] = [LOG_SUBJECT];

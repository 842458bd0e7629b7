export { LOAD_DEFAULTS, LoadGenerator, type LoadOptions } from "./generator.ts";

/** One process of the pool: a seed comes in, its result goes out. */

import type { SeedOrder } from "./pool.ts";
import { simulate } from "./simulate.ts";

process.on("message", (message) => {
  const { seed, options } = message as SeedOrder;
  simulate(seed, { ...options, without: new Set(options.without) }).then(
    (result) => process.send?.(result),
    (error: unknown) => {
      process.stderr.write(
        `seed ${seed}: ${error instanceof Error ? error.stack : String(error)}\n`,
      );
      process.exit(2);
    },
  );
});

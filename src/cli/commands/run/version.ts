/** `hearth version`. */
import { type CommandContext, EXIT, type ExitCode } from "../../command.ts";
import { programVersion } from "../../program.ts";

export async function run({ globals, spec, terminal }: CommandContext): Promise<ExitCode> {
  const version = programVersion();
  const platform = `${process.platform}-${process.arch}`;
  if (globals.isJson) {
    terminal.out(JSON.stringify({ schema: spec.schema, version, node: process.version, platform }));
  } else {
    terminal.out(`hearth ${version} (Node.js ${process.version}, ${platform})`);
  }
  return EXIT.done;
}

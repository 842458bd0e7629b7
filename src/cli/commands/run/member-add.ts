/** `hearth member add`: a new node becomes a learner. */
import { runChange } from "../../change.ts";
import { type CommandContext, type ExitCode, UsageError } from "../../command.ts";

export function run(context: CommandContext): Promise<ExitCode> {
  const written = context.operands[0] as string;
  // A server id may hold a colon and dots, never an equals sign; an address holds none either.
  const [name, address, ...rest] = written.includes("=") ? written.split("=") : ["", written];
  if (
    address === undefined ||
    address === "" ||
    rest.length > 0 ||
    (written.includes("=") && name === "")
  ) {
    throw new UsageError(
      `"${written}" is neither <server id>=<host:port> nor <host:port>`,
      "Write hearth member add hearth-3=10.0.3.8:9099",
    );
  }
  return runChange(context, {
    request: (guard) => ({
      method: "POST",
      path: "/api/v1/members",
      body: JSON.stringify({ address, ...(name === "" ? {} : { serverId: name }), ...guard }),
    }),
    next: `hearth member promote ${name === "" ? "<server id>" : name}`,
  });
}

/** `hearth completion`: scripts made from the data of the commands; they know words and flags, not values. */
import {
  type CommandContext,
  type CommandSpec,
  EXIT,
  type ExitCode,
  UsageError,
} from "../../command.ts";
import { allFlags } from "../../parse.ts";
import { COMMANDS } from "../catalog.ts";

const SCRIPTS: Readonly<Record<string, (commands: readonly CommandSpec[]) => string>> = {
  bash: bashScript,
  zsh: (commands) => `autoload -U +X bashcompinit && bashcompinit\n${bashScript(commands)}`,
  fish: fishScript,
};

export async function run({ operands, terminal }: CommandContext): Promise<ExitCode> {
  const shell = operands[0] as string;
  const script = SCRIPTS[shell];
  if (script === undefined)
    throw new UsageError(`"${shell}" is not one of ${Object.keys(SCRIPTS).join(", ")}`);
  terminal.out(script(COMMANDS).trimEnd());
  return EXIT.done;
}

function flagWords(spec: CommandSpec): string {
  return allFlags(spec)
    .map((flag) => `--${flag.name}`)
    .join(" ");
}

function bashScript(commands: readonly CommandSpec[]): string {
  const firsts = [...new Set(commands.map((spec) => spec.path[0]))];
  const groups = firsts.map((first) => {
    const seconds = commands.filter((spec) => spec.path[0] === first && spec.path.length > 1);
    return { first, seconds: seconds.map((spec) => spec.path[1]).join(" ") };
  });
  const cases = commands.map(
    (spec) => `    "${spec.path.join(" ")}"*) words="${flagWords(spec)}" ;;`,
  );
  const grouped = groups
    .filter(({ seconds }) => seconds !== "")
    .map(({ first, seconds }) => `    "${first}") words="${seconds}" ;;`);
  return `_hearth() {
  local current="\${COMP_WORDS[COMP_CWORD]}" line="\${COMP_WORDS[*]:1:COMP_CWORD-1}" words=""
  case "$line" in
    "") words="${firsts.join(" ")}" ;;
${[...grouped, ...cases].join("\n")}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
  [ \${#COMPREPLY[@]} -eq 0 ] && COMPREPLY=($(compgen -f -- "$current"))
}
complete -F _hearth hearth
`;
}

function fishScript(commands: readonly CommandSpec[]): string {
  const lines = commands.flatMap((spec) => {
    const [first, second] = spec.path;
    const seen = `__fish_seen_subcommand_from ${first}`;
    const words =
      second === undefined
        ? [`complete -c hearth -n __fish_use_subcommand -a ${first} -d '${spec.summary}'`]
        : [
            `complete -c hearth -n __fish_use_subcommand -a ${first}`,
            `complete -c hearth -n '${seen}' -a ${second} -d '${spec.summary}'`,
          ];
    const condition =
      second === undefined ? seen : `${seen}; and __fish_seen_subcommand_from ${second}`;
    const flags = allFlags(spec).map(
      (flag) =>
        `complete -c hearth -n '${condition}' -l ${flag.name} -d '${flag.help.replaceAll("'", "")}'`,
    );
    return [...words, ...flags];
  });
  return `${[...new Set(lines)].join("\n")}\n`;
}

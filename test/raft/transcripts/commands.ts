/**
 * The language of the transcripts, one command a line.
 *
 * ```
 * before the start   option NAME N | cluster a b c [+ learner ...] | log a TERM ... | hard a TERM [VOTE] | abstain a
 * time               tick a [N] | tick all [N] | wait a N (ticks drawn above the least) | clock MS
 *                    live N (ticks of all, with everything delivered; heartbeats are not shown) | lead a (silent)
 * messages           deliver LINK [N] | run [a b] | drop LINK [N] | dup LINK | reverse LINK     LINK: a->b, a->*
 *                    cut LINK ... | isolate a | heal | unreachable a b
 * inputs             campaign a [TERM] | propose a x[,y] [z ...] | read a | transfer a b | change a KIND ID[, ...]
 * disk and state     hold|free disk|apply|loads a | durable a [N] | snapshot a | compact a INDEX | cold a
 *                    loaded a [gone] | crash a | restart a | lose a INDEX | newcomer d
 * checks             expect a WHAT ... | expect LINK KIND ... | expect outcome TEXT | expect rejections LINK N
 * ```
 */

import assert from "node:assert/strict";
import { appendEntry, ByteSink, COMMAND } from "../../../src/protocol/index.ts";
import {
  BATCH_KIND,
  CHANGE,
  type MembershipChange,
  type NodeId,
  type ProposeOutcome,
} from "../../../src/raft/index.ts";
import { formatMessage, formatMeta } from "./format.ts";
import type { Member } from "./member.ts";
import type { Scenario } from "./scenario.ts";
import { expectedOf } from "./values.ts";

/** Commands that describe the disks before anybody starts. */
const BEFORE_START: ReadonlySet<string> = new Set([
  "option",
  "cluster",
  "log",
  "hard",
  "abstain",
  "wait",
]);

type Command = (scenario: Scenario, words: readonly string[]) => void;

export class Script {
  readonly scenario: Scenario;
  /** What the last proposal, change or transfer was answered. */
  outcome = "";

  constructor(scenario: Scenario) {
    this.scenario = scenario;
  }

  /** Runs one line and answers what happened. Throws when an expectation is not met. */
  run(line: string): string[] {
    const [name, ...words] = line.trim().split(/\s+/);
    const command = this.#commands[name as string];
    assert.ok(command !== undefined, `no command "${name}"`);
    if (!BEFORE_START.has(name as string)) this.scenario.start();
    command(this.scenario, words);
    return this.scenario.lines.splice(0);
  }

  readonly #commands: Readonly<Record<string, Command>> = {
    option: ({ options }, [name, value]) => {
      assert.ok((name as string) in options, `no option "${name}"`);
      options[name as string] = Number(value);
    },
    cluster: (scenario, words) => {
      const plus = words.indexOf("+");
      const voters = plus < 0 ? words : words.slice(0, plus);
      scenario.create(voters, plus < 0 ? [] : words.slice(plus + 1));
    },
    log: (scenario, [id, ...terms]) => writeLog(scenario, id as string, terms.map(Number)),
    hard: (scenario, [id, term, vote]) => {
      const hardState = { term: Number(term), vote: vote ?? "", abstains: false };
      scenario.get(id as string).disk.hardState = hardState;
    },
    abstain: (scenario, [id]) => {
      const { disk } = scenario.get(id as string);
      disk.hardState = { ...disk.hardState, abstains: true };
    },
    newcomer: (scenario, [id]) => scenario.createNewcomer(id as string),
    wait: (scenario, [id, ticks]) => {
      scenario.get(id as string).drawnTicks = Number(ticks);
    },
    clock: (scenario, [ms]) => {
      scenario.nowMs = Number(ms);
    },
    tick,
    live: (scenario, [count]) => {
      for (let i = 0; i < Number(count); i++) {
        tick(scenario, ["all"]);
        scenario.run([...scenario.members.keys()]);
      }
      const shown = scenario.lines.filter((said) => !said.includes(" heartbeat"));
      scenario.lines.splice(0, scenario.lines.length, ...shown);
    },
    lead: (scenario, [id]) => {
      const member = scenario.get(id as string);
      scenario.act(member, () => member.core.campaign());
      scenario.run([...scenario.members.keys()]);
      tick(scenario, [id as string, "2"]);
      scenario.run([...scenario.members.keys()]);
      assert.ok(member.core.isLeader, `${id} does not lead`);
      const { term, commitIndex } = member.core;
      scenario.lines.length = 0;
      scenario.say(`${id} leads term ${term} and has committed ${commitIndex}`);
    },
    ...MESSAGES,
    ...DISK,
    campaign: (scenario, [id, term]) => {
      const member = scenario.get(id as string);
      scenario.act(member, () =>
        term === undefined ? member.core.campaign() : member.core.campaign(Number(term)),
      );
    },
    propose: (scenario, [id, ...batches]) => {
      const member = scenario.get(id as string);
      // Proposals of one turn: the core hears of all before it is asked what to do.
      scenario.act(member, () => {
        for (const batch of batches) {
          this.#answer(id as string, member.propose(batch.split(","), scenario.nowMs));
        }
      });
    },
    change: (scenario, [id, ...words]) => {
      const member = scenario.get(id as string);
      const changes = parseChanges(words);
      scenario.act(member, () =>
        this.#answer(id as string, member.core.changeMembership(changes, scenario.nowMs)),
      );
    },
    transfer: (scenario, [id, to]) => {
      const member = scenario.get(id as string);
      scenario.act(member, () => {
        const refusal = member.core.transfer(to as string);
        this.outcome = refusal === null ? "accepted" : "refused";
        scenario.say(`${id} ${refusal === null ? `hands over to ${to}` : "refuses to hand over"}`);
      });
    },
    read: (scenario, [id]) => {
      const member = scenario.get(id as string);
      const readId = ++member.newestRead;
      scenario.say(`${id} is asked to read, ${readId}`);
      scenario.act(member, () => member.core.read(readId));
    },
    expect: (scenario, words) => {
      const { value, wanted } = expectedOf(scenario, words, this.outcome);
      assert.equal(value, wanted, `expect ${words.join(" ")}: it is "${value}"`);
    },
  };

  #answer(id: NodeId, outcome: ProposeOutcome): void {
    this.outcome = outcome.ok ? "accepted" : outcome.refusal;
    this.scenario.say(
      outcome.ok
        ? `${id} takes it as ${outcome.firstIndex}/t${outcome.term} at ${outcome.appendedAtMs} ms`
        : `${id} refuses: ${outcome.refusal}`,
    );
  }
}

const MESSAGES: Readonly<Record<string, Command>> = {
  deliver: (scenario, [pattern, count]) => {
    for (const link of scenario.linksOf(pattern as string)) {
      const waiting = scenario.queue(link).length;
      assert.ok(
        waiting > 0 || (pattern as string).includes("*"),
        `nothing is under way from ${link}`,
      );
      const wanted = count === undefined ? waiting : Math.min(Number(count), waiting);
      for (let i = 0; i < wanted; i++) scenario.deliver(link);
    }
  },
  run: (scenario, ids) => scenario.run(ids.length > 0 ? ids : [...scenario.members.keys()]),
  drop: (scenario, [pattern, count]) => {
    for (const link of scenario.linksOf(pattern as string)) {
      const dropped = scenario.queue(link).splice(0, Number(count ?? Number.MAX_SAFE_INTEGER));
      for (const message of dropped) scenario.say(`${link} loses ${formatMessage(message)}`);
    }
  },
  dup: ({ links }, [link]) => {
    const queue = links.get(link as string) ?? [];
    assert.ok(queue[0] !== undefined, `nothing is under way from ${link}`);
    queue.unshift(queue[0]);
  },
  reverse: (scenario, [link]) => {
    scenario.queue(link as string).reverse();
  },
  cut: ({ cuts }, links) => {
    for (const link of links) cuts.add(link);
  },
  isolate: (scenario, [id]) => {
    for (const link of [...scenario.linksOf(`${id}->*`), ...scenario.linksOf(`*->${id}`)]) {
      scenario.cuts.add(link);
      scenario.queue(link).length = 0;
    }
  },
  heal: ({ cuts }) => cuts.clear(),
  unreachable: (scenario, [id, peer]) => {
    const member = scenario.get(id as string);
    scenario.act(member, () => member.core.unreachable(peer as string));
  },
};

const DISK: Readonly<Record<string, Command>> = {
  hold: (scenario, [what, id]) => setHeld(scenario.get(id as string), what as string, true),
  free: (scenario, [what, id]) => {
    const member = scenario.get(id as string);
    setHeld(member, what as string, false);
    if (what === "disk") member.durable(member.waiting.length);
    scenario.act(member, () => {});
  },
  durable: (scenario, [id, count]) => {
    const member = scenario.get(id as string);
    assert.ok(member.waiting.length > 0, `${id} waits for nothing`);
    scenario.act(member, () => member.durable(Number(count ?? member.waiting.length)));
  },
  snapshot: (scenario, [id]) => {
    const member = scenario.get(id as string);
    scenario.act(member, () => {
      scenario.say(`${id} has snapshot ${formatMeta(member.takeSnapshot())}`);
    });
  },
  compact: (scenario, [id, index]) => {
    const member = scenario.get(id as string);
    scenario.act(member, () => member.compact(Number(index)));
  },
  cold: (scenario, [id]) => {
    const member = scenario.get(id as string);
    member.disk.isCold = true;
    member.areLoadsHeld = true;
  },
  loaded: (scenario, [id, gone]) => {
    const member = scenario.get(id as string);
    member.disk.isCold = false;
    scenario.act(member, () => member.finishLoads(gone === "gone"));
  },
  crash: (scenario, [id]) => scenario.get(id as string).crash(),
  restart: (scenario, [id]) => {
    const member = scenario.get(id as string);
    scenario.act(member, () => member.start());
  },
  lose: (scenario, [id, index]) => {
    const { disk, raft } = scenario.get(id as string);
    assert.ok(raft === null, `${id} is running`);
    disk.truncate(Number(index));
    disk.hardState = { ...disk.hardState, abstains: true };
  },
};

function setHeld(member: Member, what: string, isHeld: boolean): void {
  if (what === "disk") member.isDiskHeld = isHeld;
  else if (what === "apply") member.isApplyHeld = isHeld;
  else assert.fail(`cannot hold "${what}"`);
}

function tick(scenario: Scenario, [id, count]: readonly string[]): void {
  const ids = id === "all" ? [...scenario.members.keys()] : [id as string];
  for (let i = 0; i < Number(count ?? 1); i++) {
    for (const name of ids) {
      const member = scenario.get(name);
      if (member.raft !== null) scenario.act(member, () => member.core.tick());
    }
  }
}

function parseChanges(words: readonly string[]): MembershipChange[] {
  return words
    .join(" ")
    .split(",")
    .map((text) => {
      const [kind, id] = text.trim().split(" ") as [keyof typeof CHANGE, NodeId];
      assert.ok(kind in CHANGE, `no change "${kind}"`);
      return { kind: CHANGE[kind], member: { id, serverId: id, address: `${id}:1` } };
    });
}

/** A log of one entry per term given, each saying where it came from. */
function writeLog(scenario: Scenario, id: NodeId, terms: readonly number[]): void {
  const { disk } = scenario.get(id);
  disk.batches = terms.map((term, i) => {
    const sink = new ByteSink();
    appendEntry(sink, COMMAND.noop, Buffer.from(`e${i + 1}`));
    const body = sink.copy();
    const place = { firstIndex: i + 1, term, appendedAtMs: 1 };
    return { kind: BATCH_KIND.entries, ...place, count: 1, body, bodyBytes: body.length };
  });
  disk.hardState = { ...disk.hardState, term: Math.max(disk.hardState.term, ...terms) };
}

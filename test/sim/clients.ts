/**
 * Clients: each has one operation at a time, writes unique values, and never repeats a write whose outcome it does not
 * know, unless a session makes that safe.
 */

import { type HearthError, isHearthError, type Prng } from "../../src/base/index.ts";
import { encodeCommands, OPERATION, type Operation, type SimCommand } from "./commands.ts";
import type { Coverage } from "./coverage.ts";
import { EVENT, type EventLoop } from "./event-loop.ts";
import { violated } from "./failure.ts";
import type { History, Invoked } from "./history.ts";
import type { Machine } from "./machine.ts";
import { exponential } from "./random.ts";

export interface ClientModules {
  readonly loop: EventLoop;
  readonly history: History;
  readonly coverage: Coverage;
  readonly machines: readonly Machine[];
  readonly stream: (name: string) => Prng;
}

export interface ClientOptions {
  readonly count: number;
  readonly thinkUs: number;
  readonly readShare: number;
  readonly keys: number;
}

/** Mean way between client and server, us. */
const HOP_US = 400;
const DEADLINE_US = 1_500_000;
const SESSION_SHARE = 0.4;
const CLIENT = { kind: EVENT.client, place: -1, life: null } as const;
/** Of clients without a session: how many of their steps open one. */
const OPEN_SHARE = 0.2;
const OPERATIONS: readonly Operation[] = [OPERATION.write, OPERATION.append, OPERATION.increment];

export class Clients {
  isStopped = false;
  readonly #options: ClientOptions;
  readonly #modules: ClientModules;
  #values = 0;
  /** Where the last writes were taken. */
  #leaderPlace = 0;
  readonly #prng: Prng;

  constructor(options: ClientOptions, modules: ClientModules) {
    this.#options = options;
    this.#modules = modules;
    this.#prng = modules.stream("clients");
  }

  start(): void {
    for (let i = 0; i < this.#options.count; i++) {
      const client = new Client();
      this.#later(this.#options.thinkUs, () => this.#next(client));
    }
  }

  newValue(): number {
    this.#values += 1;
    return this.#values;
  }

  #next(client: Client): void {
    if (this.isStopped) return;
    const { readShare, keys } = this.#options;
    const operation = this.#prng.pick(OPERATIONS);
    const key = this.#prng.nextInt(keys);
    const done = (): void => this.#later(this.#options.thinkUs, () => this.#next(client));
    const isOpening = client.session === 0 && this.#prng.nextChance(OPEN_SHARE);
    if (isOpening) this.#open(client, done);
    else if (this.#prng.nextChance(readShare)) this.#read(operation, key, done);
    else this.#write(client, operation, key, done);
  }

  // -- reads ---------------------------------------------------------------------------------------------------

  #read(operation: Operation, key: number, done: () => void): void {
    const { history, loop } = this.#modules;
    const invoked = history.beginRead(operation, key, loop.nowUs);
    this.readAt(this.#prng.pick(this.#modules.machines), invoked, () => done());
  }

  /** A strong read on one machine; `done` gets whether it was answered. */
  readAt(machine: Machine, invoked: Invoked, done: (isAnswered: boolean) => void): void {
    const { loop, history, coverage } = this.#modules;
    const { operation, key } = invoked.item;
    const answer = once(done);
    const fail = (): void => {
      if (answer.isDone) return;
      coverage.hit("readRefused");
      history.failRead(invoked);
      answer.call(false);
    };
    this.#withDeadline(fail);
    this.#later(HOP_US, () => {
      const thread = this.#threadOf(machine);
      if (thread === null) return fail();
      const isLeader = machine.core?.isLeader === true;
      this.#onMachine(machine, () => {
        thread.read(operation, key, (result) =>
          this.#later(HOP_US, () => {
            if (answer.isDone) return;
            if (!result.ok) return fail();
            coverage.hit(isLeader ? "readLeader" : "readFollower");
            history.endRead(invoked, result.index, result.value, loop.nowUs);
            answer.call(true);
          }),
        );
      });
    });
  }

  /** A lost answer leaves a session that nobody uses. */
  #open(client: Client, done: () => void): void {
    const value = this.newValue();
    const command = { operation: OPERATION.open, key: 0, value, session: 0, sequence: 0 };
    this.writeAt(this.#target(1), command, (outcome) => {
      if (outcome.kind === "done") {
        this.#modules.coverage.hit("sessionOpened");
        client.begin(outcome.index);
      }
      done();
    });
  }

  // -- writes --------------------------------------------------------------------------------------------------

  #write(client: Client, operation: Operation, key: number, done: () => void): void {
    const { history, loop } = this.#modules;
    const hasSession = client.session !== 0 && this.#prng.nextChance(SESSION_SHARE);
    const command: SimCommand = {
      operation,
      key,
      value: this.newValue(),
      session: hasSession ? client.session : 0,
      sequence: hasSession ? client.nextSequence() : 0,
    };
    const invoked = history.beginWrite(command, loop.nowUs);
    this.#attempt(invoked, { client, attempt: 1, maybeSent: false }, done);
  }

  #attempt(invoked: Invoked, state: WriteState, done: () => void): void {
    const { history, coverage, loop } = this.#modules;
    const command = invoked.command as SimCommand;
    const machine = this.#target(state.attempt);
    this.writeAt(machine, command, (outcome) => {
      if (outcome.kind === "done") {
        if (outcome.isDuplicate) coverage.hit("sessionDuplicate");
        coverage.hit("writeAcknowledged");
        this.#leaderPlace = machine.place;
        history.endWrite(invoked, outcome.index, loop.nowUs);
        done();
        return;
      }
      if (outcome.kind === "gone") {
        // Not executed now. Whether an earlier attempt was is not known any more.
        coverage.hit("sessionRefused");
        state.client.session = 0;
        if (!state.maybeSent) history.refuseWrite(invoked);
        done();
        return;
      }
      const maybeSent = state.maybeSent || outcome.kind === "unknown";
      const isSafe = !maybeSent || command.session !== 0;
      if (isSafe && state.attempt < ATTEMPTS_MAX && !this.isStopped) {
        if (maybeSent) coverage.hit("sessionRetry");
        const next = { client: state.client, attempt: state.attempt + 1, maybeSent };
        this.#later(RETRY_US, () => this.#attempt(invoked, next, done));
        return;
      }
      coverage.hit(maybeSent ? "writeUnknown" : "proposalRefused");
      if (!maybeSent) history.refuseWrite(invoked);
      done();
    });
  }

  /** One proposal on one machine. */
  writeAt(machine: Machine, command: SimCommand, done: (outcome: WriteOutcome) => void): void {
    const answer = once(done);
    let wasHandedOver = false;
    this.#withDeadline(() => answer.call({ kind: wasHandedOver ? "unknown" : "refused" }));
    this.#later(HOP_US, () => {
      if (answer.isDone) return;
      const thread = this.#threadOf(machine);
      if (thread === null) return answer.call({ kind: "refused" });
      wasHandedOver = true;
      this.#onMachine(machine, () => {
        thread.propose(encodeCommands([command]), (result) =>
          this.#later(HOP_US, () => {
            if (result.ok) {
              const isDuplicate = result.outcomes[0] === 1;
              if (result.outcomes[0] === 2) return answer.call({ kind: "gone" });
              answer.call({ kind: "done", index: result.firstIndex, isDuplicate });
            } else {
              answer.call({ kind: wasSent(result.error) ? "unknown" : "refused" });
            }
          }),
        );
      });
    });
  }

  /** Mostly the last known leader, at times anybody. */
  #target(attempt: number): Machine {
    const { machines } = this.#modules;
    const leader = machines.find(({ core }) => core?.isLeader === true);
    if (attempt === 1 && this.#prng.nextChance(0.8)) return machines[this.#leaderPlace] as Machine;
    if (leader !== undefined && this.#prng.nextChance(0.7)) return leader;
    return this.#prng.pick(machines);
  }

  // -- ways ----------------------------------------------------------------------------------------------------

  #threadOf(machine: Machine) {
    const threads = machine.process?.readers ?? [];
    return threads.length === 0 ? null : this.#prng.pick(threads);
  }

  /** On the machine's process: waits while that is stopped, is lost when it dies. */
  #onMachine(machine: Machine, task: () => void): void {
    const { loop } = this.#modules;
    const life = machine.process?.life ?? null;
    loop.at(loop.nowUs, { kind: EVENT.worker, place: machine.place, life }, task);
  }

  #later(meanUs: number, task: () => void): void {
    const { loop } = this.#modules;
    loop.at(loop.nowUs + exponential(this.#prng, meanUs), CLIENT, task);
  }

  #withDeadline(task: () => void): void {
    const { loop } = this.#modules;
    loop.at(loop.nowUs + DEADLINE_US, CLIENT, task);
  }
}

const ATTEMPTS_MAX = 6;
const RETRY_US = 30_000;

interface WriteState {
  readonly client: Client;
  readonly attempt: number;
  readonly maybeSent: boolean;
}

export type WriteOutcome =
  | { readonly kind: "done"; readonly index: number; readonly isDuplicate: boolean }
  /** `gone`: the session is not there any more. */
  | { readonly kind: "refused" | "unknown" | "gone" };

class Client {
  /** 0: none. */
  session = 0;
  #sequence = 0;

  begin(session: number): void {
    this.session = session;
    this.#sequence = 0;
  }

  nextSequence(): number {
    this.#sequence += 1;
    return this.#sequence;
  }
}

/** What the error promises: "no" is certain. */
function wasSent(error: HearthError): boolean {
  if (!isHearthError(error)) violated("typed-error", String(error));
  return error.sent !== "no";
}

interface Once<T> {
  readonly isDone: boolean;
  call(value: T): void;
}

function once<T>(done: (value: T) => void): Once<T> {
  let isDone = false;
  return {
    get isDone() {
      return isDone;
    },
    call: (value) => {
      if (isDone) return;
      isDone = true;
      done(value);
    },
  };
}

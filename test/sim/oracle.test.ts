/** The client oracles find planted violations, and accept what is right. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { BLIND, checkBlindly } from "./blind-check.ts";
import { OPERATION, type SimCommand } from "./commands.ts";
import { Violation } from "./failure.ts";
import { History, type HistoryItem } from "./history.ts";

function command(value: number, more: Partial<SimCommand> = {}): SimCommand {
  return { operation: OPERATION.write, key: 1, value, session: 0, sequence: 0, ...more };
}

function finds(invariant: string, act: () => void): void {
  assert.throws(
    act,
    (error) => error instanceof Violation && error.invariant === invariant,
    invariant,
  );
}

describe("oracle by log index", () => {
  it("accepts writes and reads that are right", () => {
    const history = new History();
    const write = history.beginWrite(command(7), 0);
    history.tookEffect(1, command(7));
    history.endWrite(write, 1, 10);
    const read = history.beginRead(OPERATION.write, 1, 20);
    history.endRead(read, 1, 7, 30);
  });

  it("finds an acknowledged write that is nowhere, or elsewhere", () => {
    const history = new History();
    finds("acknowledged-applied", () => history.endWrite(history.beginWrite(command(7), 0), 1, 10));
    const write = history.beginWrite(command(8), 0);
    history.tookEffect(2, command(8));
    finds("acknowledged-place", () => history.endWrite(write, 3, 10));
  });

  it("finds a write below what was finished before it began", () => {
    const history = new History();
    const first = history.beginWrite(command(1), 0);
    history.tookEffect(4, command(2));
    history.tookEffect(5, command(1));
    history.endWrite(first, 5, 10);
    finds("real-time-write", () => history.endWrite(history.beginWrite(command(2), 20), 4, 30));
  });

  it("finds a grant below what was finished before it was asked for", () => {
    const history = new History();
    const write = history.beginWrite(command(7), 0);
    history.tookEffect(3, command(7));
    history.endWrite(write, 3, 10);
    history.granted(3, history.finishedIndex);
    finds("read-grant", () => history.granted(2, history.finishedIndex));
  });

  it("finds a value that takes effect twice, or although it was refused", () => {
    const history = new History();
    history.tookEffect(1, command(1));
    finds("exactly-once", () => history.tookEffect(2, command(1)));
    const refused = history.beginWrite(command(3), 0);
    history.refuseWrite(refused);
    finds("refused-not-applied", () => history.tookEffect(3, command(3)));
    const late = history.beginWrite(command(4), 0);
    history.tookEffect(4, command(4));
    finds("refused-not-applied", () => history.refuseWrite(late));
  });

  it("finds a stale read", () => {
    const history = new History();
    const write = history.beginWrite(command(7), 0);
    history.tookEffect(3, command(7));
    history.endWrite(write, 3, 10);
    const read = history.beginRead(OPERATION.write, 1, 20);
    finds("stale-read", () => history.endRead(read, 2, null, 30));
  });

  it("finds a read that sees something else than its index says", () => {
    const history = new History();
    history.tookEffect(1, command(7));
    const read = history.beginRead(OPERATION.write, 1, 0);
    finds("read-value", () => history.endRead(read, 1, 8, 10));
    const list = history.beginRead(OPERATION.append, 1, 0);
    history.tookEffect(2, command(9, { operation: OPERATION.append }));
    finds("read-value", () => history.endRead(list, 2, [], 10));
    history.endRead(list, 2, [9], 10);
  });
});

const OPEN = Number.POSITIVE_INFINITY;

function write(
  value: number,
  invokedUs: number,
  returnedUs: number,
  operation = OPERATION.write as number,
): HistoryItem {
  return { isRead: false, operation, key: 1, value, invokedUs, returnedUs };
}

function read(value: HistoryItem["value"], invokedUs: number, returnedUs: number): HistoryItem {
  const operation =
    typeof value === "object" && value !== null ? OPERATION.append : OPERATION.write;
  return { isRead: true, operation, key: 1, value, invokedUs, returnedUs };
}

describe("blind oracle", () => {
  const isRight = (...items: HistoryItem[]): void => {
    assert.equal(checkBlindly(items), BLIND.linearizable);
  };
  const isWrong = (...items: HistoryItem[]): void => {
    assert.equal(checkBlindly(items), BLIND.violated);
  };

  it("accepts overlapping operations in any order that explains them", () => {
    isRight(write(1, 0, 10), write(2, 5, 15), read(1, 20, 30));
    isRight(write(1, 0, 10), write(2, 5, 15), read(2, 20, 30));
    isRight(write(1, 0, 100), read(null, 10, 20), read(1, 30, 40));
  });

  it("finds a read that goes back in time", () => {
    isWrong(write(1, 0, 10), write(2, 20, 30), read(1, 40, 50));
    isWrong(write(1, 0, 100), read(1, 10, 20), read(null, 30, 40));
    isWrong(write(1, 0, 10), read(null, 20, 30));
  });

  it("finds a value that nobody wrote", () => {
    isWrong(write(1, 0, 10), read(3, 20, 30));
  });

  it("lets an open write happen at any later time, or never", () => {
    isRight(write(1, 0, OPEN), read(null, 10, 20), read(1, 30, 40));
    isRight(write(1, 0, OPEN), read(null, 10, 20), read(null, 30, 40));
    isWrong(write(1, 0, OPEN), read(1, 10, 20), read(null, 30, 40));
  });

  it("finds lists that two orders would be needed for", () => {
    const append = (value: number, from: number, to: number): HistoryItem => {
      return write(value, from, to, OPERATION.append);
    };
    isRight(append(1, 0, 10), append(2, 0, 10), read([2, 1], 20, 30), read([2, 1], 20, 30));
    isWrong(append(1, 0, 10), append(2, 0, 10), read([2, 1], 20, 30), read([1, 2], 20, 30));
    isWrong(append(1, 0, 10), append(2, 20, 30), read([2, 1], 40, 50));
    isWrong(append(1, 0, 10), append(2, 0, 10), read([2], 20, 30));
  });

  it("leaves out what certainly was not done", () => {
    isWrong(write(1, 0, Number.NEGATIVE_INFINITY), read(1, 10, 20));
  });
});
